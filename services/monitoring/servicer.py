"""MonitoringService over gRPC."""

import grpc

from agentmesh.monitoring.v1 import monitoring_pb2, monitoring_pb2_grpc
from libs.core.context import require
from libs.core.errors import MeshError, Reason
from services.monitoring import convert
from services.monitoring.ledger import UsageLedger
from services.monitoring.visibility import visible_scope


class MonitoringServicer(monitoring_pb2_grpc.MonitoringServiceServicer):
    """Hands calls to the ledger; requests have been validated before."""

    def __init__(self, ledger: UsageLedger) -> None:
        self._ledger = ledger

    async def ReportUsage(
        self,
        request: monitoring_pb2.ReportUsageRequest,
        context: grpc.aio.ServicerContext[monitoring_pb2.ReportUsageRequest, monitoring_pb2.ReportUsageResponse],
    ) -> monitoring_pb2.ReportUsageResponse:
        """Add a batch."""
        accepted = await self._ledger.record(request.request_id, convert.events_of(request))
        require().log_fields.update(events=len(request.events), accepted=accepted)
        return monitoring_pb2.ReportUsageResponse(accepted_count=accepted)

    async def GetOverview(
        self,
        request: monitoring_pb2.GetOverviewRequest,
        context: grpc.aio.ServicerContext[monitoring_pb2.GetOverviewRequest, monitoring_pb2.GetOverviewResponse],
    ) -> monitoring_pb2.GetOverviewResponse:
        """Sum up the recent past."""
        principal = require().principal
        if principal is None:
            raise MeshError(Reason.MISSING_CREDENTIALS)
        overview = await self._ledger.overview(visible_scope(principal), convert.window_seconds(request))
        return convert.overview_response(overview)
