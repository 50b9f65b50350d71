"""When a mailing goes wrong by our own fault, so that going on would only hurt: it is paused and the operator told."""

from dataclasses import dataclass, field

from newsletter_svc.delivery.verdicts import Verdict, is_policy, judge
from newsletter_svc.mail.replies import Reply

TOO_LARGE_IN_A_ROW = 3
POLICY_IN_A_ROW = 20
POLICY_AT_LEAST = 20
POLICY_SHARE = 0.05


@dataclass
class _Course:
    """How a mailing has gone so far, in this process."""

    tried: int = 0
    too_large_in_a_row: int = 0
    policy_in_a_row: int = 0
    policy: int = 0


@dataclass
class Troubles:
    """Hears how each delivery ended, in this order. Of many processes each looks at its own part."""

    _courses: dict[int, _Course] = field(default_factory=dict)

    def accepted(self, mailing_id: int) -> None:
        course = self._course(mailing_id)
        course.tried += 1
        course.too_large_in_a_row = course.policy_in_a_row = 0

    def refused(self, mailing_id: int, reply: Reply) -> str | None:
        """Say why the mailing must not go on, if that is so; it then begins anew when it is resumed."""
        course = self._course(mailing_id)
        course.tried += 1
        is_too_large, is_policy_refusal = judge(reply) is Verdict.TOO_LARGE, is_policy(reply)
        course.too_large_in_a_row = course.too_large_in_a_row + 1 if is_too_large else 0
        course.policy_in_a_row = course.policy_in_a_row + 1 if is_policy_refusal else 0
        course.policy += is_policy_refusal
        if not _is_bad(course):
            return None
        del self._courses[mailing_id]
        return str(reply)

    def forget(self, mailing_id: int) -> None:
        """It is over, or begins anew."""
        self._courses.pop(mailing_id, None)

    def _course(self, mailing_id: int) -> _Course:
        course = self._courses.get(mailing_id)
        if course is None:
            course = self._courses[mailing_id] = _Course()
        return course


def _is_bad(course: _Course) -> bool:
    many = course.policy >= max(POLICY_AT_LEAST, POLICY_SHARE * course.tried)
    return course.too_large_in_a_row >= TOO_LARGE_IN_A_ROW or course.policy_in_a_row >= POLICY_IN_A_ROW or many
