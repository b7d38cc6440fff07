"""Who may come through directdebit's doors."""

from typing import Annotated

from shared.http import Call, Permitted

Reader = Annotated[Call, Permitted("debit.process", "billing.tab.access")]
Keeper = Annotated[Call, Permitted("mandate.manage")]
KeeperOrClient = Annotated[Call, Permitted("mandate.manage", clients=True)]
Processor = Annotated[Call, Permitted("debit.process")]
