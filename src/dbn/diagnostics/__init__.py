"""What Markov chains of a model do, and how its samples differ from data."""

from dbn.diagnostics.autocorrelation import AutocorrelationTime, autocorrelation_time
from dbn.diagnostics.mixing import Mixing, measure_mixing
from dbn.diagnostics.sample_quality import SampleQuality, compare_samples

__all__ = [
    "AutocorrelationTime",
    "Mixing",
    "SampleQuality",
    "autocorrelation_time",
    "compare_samples",
    "measure_mixing",
]
