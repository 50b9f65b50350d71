"""The public operations as a table, by the name of the route; paths and methods are the router's."""

from collections.abc import Mapping

from newsletter_svc.web.operations.lists import LISTS
from newsletter_svc.web.operations.operation import Operation
from newsletter_svc.web.operations.operators import OPERATORS
from newsletter_svc.web.operations.readers import READERS
from newsletter_svc.web.operations.service import SERVICE
from newsletter_svc.web.operations.signing_in import SIGNING_IN

OPERATIONS: Mapping[str, Operation] = {**SIGNING_IN, **READERS, **SERVICE, **OPERATORS, **LISTS}
