"""Decides how a call is answered; the HTTP layer does what was decided."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.model_simulator.answers import answer
from services.model_simulator.call import Call
from services.model_simulator.catalogue import Catalogue
from services.model_simulator.completion import Completion, complete
from services.model_simulator.errors import ApiError
from services.model_simulator.faults import Fault, FaultKind, Faults
from services.model_simulator.latency import Latency, Pace
from services.model_simulator.limits import RateLimits
from services.model_simulator.parsing import check_size, parse_call
from services.model_simulator.prompt_cache import PromptCache
from services.model_simulator.statistics import Statistics
from services.model_simulator.usage import InputUsage


@dataclass(frozen=True, slots=True)
class Plan:
    """How one call is answered."""

    organisation: str
    limit_class: str
    model: str
    stream: bool
    usage: InputUsage
    completion: Completion
    pace: Pace
    fault: Fault | None
    """What goes wrong on the way, other than a status or a slow start, which are dealt with already."""
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Simulator:
    """The state of the simulated provider."""

    catalogue: Catalogue
    limits: RateLimits
    prompt_cache: PromptCache
    faults: Faults
    latency: Latency
    statistics: Statistics

    def plan(self, organisation: str, body: bytes) -> Plan:
        """Decide the answer to POST /v1/messages, and charge its input.

        Raises:
            ApiError: the request is refused, or a fault says so; nothing is charged.
        """
        call = self._read(body, counting=False)
        model = self.catalogue.require(call.prompt.model)
        fault = self._fault(call)
        headers: dict[str, str] = {}

        # Only a call that was let in warms the prompt cache, and what is warm decides what has to be let in.
        def admit(usage: InputUsage) -> None:
            headers.update(self.limits.admit(organisation, model.limit_class, usage.limited))

        usage = self.prompt_cache.account(organisation, call, admit)
        self.statistics.count_started(model.id, usage, stream=call.stream)
        return Plan(
            organisation=organisation,
            limit_class=model.limit_class,
            model=model.id,
            stream=call.stream,
            usage=usage,
            completion=complete(answer(call.prompt), call.max_tokens, call.stop_sequences),
            pace=self._pace(fault),
            fault=None if fault is not None and fault.kind is FaultKind.SLOW_FIRST_TOKEN else fault,
            headers=headers,
        )

    def count_tokens(self, body: bytes) -> int:
        """The answer to POST /v1/messages/count_tokens."""
        return self._read(body, counting=True).input_tokens

    def settle(self, plan: Plan, sent: int) -> None:
        """`sent` tokens of a plan's answer went out: count and charge them."""
        self.statistics.count_output(plan.model, sent)
        self.limits.charge_output(plan.organisation, plan.limit_class, sent)

    def reset(self) -> None:
        """Forget faults, charges, cached prefixes and counters."""
        self.faults.clear()
        self.limits.clear()
        self.prompt_cache.clear()
        self.statistics.clear()

    def _read(self, body: bytes, *, counting: bool) -> Call:
        call = parse_call(body, counting=counting)
        model = self.catalogue.require(call.prompt.model)
        check_size(call, model.context_tokens, model.max_output_tokens)
        return call

    def _fault(self, call: Call) -> Fault | None:
        fault = self.faults.pick(call.prompt.model)
        if fault is None:
            return None
        self.statistics.count_fault(fault.kind.value)
        broken = fault.kind is FaultKind.ERROR_IN_STREAM and not call.stream
        if fault.kind is FaultKind.STATUS or broken:
            raise failure(fault)
        return fault

    def _pace(self, fault: Fault | None) -> Pace:
        pace = self.latency.draw()
        if fault is None or fault.kind is not FaultKind.SLOW_FIRST_TOKEN:
            return pace
        return Pace(pace.first_token + fault.seconds, pace.per_token)


def failure(fault: Fault) -> ApiError:
    """The error that a fault asks for."""
    headers = {"retry-after": f"{fault.seconds:g}"} if fault.seconds else {}
    return ApiError(fault.status, "This error was ordered by a fault.", headers=headers, code=fault.error_code)
