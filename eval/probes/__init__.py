"""The probes of `eval.faithful` by name, in the order of the page."""

from eval.faithfulness.evidence import Probe
from eval.probes.agreement import AGREEMENT
from eval.probes.cover import COVER
from eval.probes.picture import PICTURE
from eval.probes.reasoning import REASONING
from eval.probes.swap import SWAP

PROBES: dict[str, Probe] = {
    "agreement": AGREEMENT,
    "cover": COVER,
    "swap": SWAP,
    "picture": PICTURE,
    "reasoning": REASONING,
}
"""What configs name under `probes`."""
