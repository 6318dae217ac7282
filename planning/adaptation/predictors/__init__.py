"""Predictors of load: each learns from the past what it can, then says how high the next seconds' load will be.

predictor = lookup(PREDICTORS, "quantile", "predictor")(Training(load_rps_T=past, horizon_s=20, level=0.95))
forecast_rps(predictor, load_so_far)
"""

from collections.abc import Callable, Mapping

from ttamer.planning.adaptation.predictors.autoregressive import Autoregressive
from ttamer.planning.adaptation.predictors.ewma import Ewma
from ttamer.planning.adaptation.predictors.last_value import LastValue
from ttamer.planning.adaptation.predictors.maximum import Maximum
from ttamer.planning.adaptation.predictors.peak import Peak
from ttamer.planning.adaptation.predictors.protocol import Predictor, Training
from ttamer.planning.adaptation.predictors.quantile import Quantile
from ttamer.planning.adaptation.predictors.recurrent import Recurrent

PREDICTORS: Mapping[str, Callable[[Training], Predictor]] = {
    "last-value": LastValue.learned,
    "maximum": Maximum.learned,
    "ewma": Ewma.learned,
    "ar12": Autoregressive.learned,
    "lstm-ipa": Recurrent.of_ipa,
    "lstm-infadapter": Recurrent.of_infadapter,
    "peak": Peak.learned,
    "quantile": Quantile.learned,
}
