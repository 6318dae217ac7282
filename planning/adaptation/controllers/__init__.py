"""Controllers: each decides at its own interval what should run, as its paper or its tool does, and so does ours.

kind = lookup(CONTROLLERS, "infadapter", "controller")
controller = adapting(kind, Setup(catalog=catalog), predictor)           # planning/adaptation/adapting.py
"""

from collections.abc import Mapping

from ttamer.planning.adaptation.controllers.fa2_high import FA2_HIGH
from ttamer.planning.adaptation.controllers.fa2_low import FA2_LOW
from ttamer.planning.adaptation.controllers.infadapter import INFADAPTER
from ttamer.planning.adaptation.controllers.ipa import IPA
from ttamer.planning.adaptation.controllers.ms_plus import MS_PLUS
from ttamer.planning.adaptation.controllers.protocol import Kind
from ttamer.planning.adaptation.controllers.rim import RIM
from ttamer.planning.adaptation.controllers.sponge import SPONGE
from ttamer.planning.adaptation.controllers.static import STATIC
from ttamer.planning.adaptation.controllers.ttamer import TTAMER
from ttamer.planning.adaptation.controllers.vpa import VPA

CONTROLLERS: Mapping[str, Kind] = {
    "ttamer": TTAMER,
    "ipa": IPA,
    "infadapter": INFADAPTER,
    "sponge": SPONGE,
    "ms-plus": MS_PLUS,
    "vpa": VPA,
    "fa2-low": FA2_LOW,
    "fa2-high": FA2_HIGH,
    "rim": RIM,
    "static": STATIC,
}
