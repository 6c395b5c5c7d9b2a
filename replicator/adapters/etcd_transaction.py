"""Steps of a rewriting as a transaction of etcd that is guarded by what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicator.adapters.etcd_messages import messages
from replicator.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicator.core.rewriting import Step

_REFUSED = "permission_denied"


def guarded(steps: Sequence[Step]) -> dict[str, Any]:
    """Return the members of the TxnRequest: compare each mod_revision; do all, or ask for all as they are."""
    return {
        "compare": [_comparison(step) for step in steps],
        "success": [_operation(step) for step in steps],
        "failure": [
            messages.RequestOp(request_range=messages.RangeRequest(key=step.key, keys_only=True))
            for step in steps
        ],
    }


def changed_since(steps: Sequence[Step], answer: Any) -> list[bytes]:
    """Return the keys that, by the *answer* to a transaction that wasn't done, aren't as they were seen."""
    found = [
        response.response_range.kvs[0].mod_revision if response.response_range.kvs else 0
        for response in answer.responses
    ]
    return [step.key for step, revision in zip(steps, found, strict=True) if revision != _seen(step)]


def unwritten(error: SourceUnavailable) -> SourceUnavailable:
    """Return *error* as one about writing."""
    if _REFUSED in str(error):
        return SourceUnavailable(
            str(error), hint="etcd's user needs a role with write permission on the whole prefix"
        )
    return SourceUnavailable(
        f"{error}; whether the last transaction was done isn't known",
        hint="call it again: it looks at what etcd holds, and does what is left",
    )


def _seen(step: Step) -> int:
    return 0 if step.seen is None else step.seen.mod_revision


def _comparison(step: Step) -> Any:
    return messages.Compare(
        result=messages.Compare.EQUAL, target=messages.Compare.MOD, key=step.key, mod_revision=_seen(step)
    )


def _operation(step: Step) -> Any:
    if step.value is None:
        return messages.RequestOp(request_delete_range=messages.DeleteRangeRequest(key=step.key))
    return messages.RequestOp(request_put=messages.PutRequest(key=step.key, value=step.value))
