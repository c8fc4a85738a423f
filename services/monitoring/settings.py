"""Every environment variable of the monitoring service."""

from pydantic import Field, SecretStr

from libs.server.settings import ServerSettings


class MonitoringSettings(ServerSettings):
    """Settings of the monitoring service."""

    auth_target: str = Field(
        pattern=r"^[a-z0-9]+:///\S+$", description="where auth is, whose public keys verify callers: dns:///auth:50051"
    )
    redis_url: str = Field(
        pattern=r"^rediss?(\+cluster)?://\S+$",
        description="Redis (role STATE) for the sums: redis://, rediss:// or redis+cluster://",
    )
    redis_timeout: float = Field(2.0, gt=0, description="seconds until Redis counts as unreachable")
    batch_memory: float = Field(
        900.0, ge=60, description="seconds for which a batch that is sent again is recognised by its request_id"
    )
    dashboard_window: float = Field(300.0, ge=60, le=86400, description="seconds of the past that the dashboard shows")
    dashboard_interval: float = Field(1.0, ge=0.1, description="seconds between the dashboard's updates")
    dashboard_max_viewers: int = Field(100, ge=1, description="pages that may watch one replica at the same time")
    dashboard_token: SecretStr = Field(
        SecretStr(""),
        description="what a viewer must show, as `?token=` or a bearer token; empty: whoever reaches the admin port",
    )
