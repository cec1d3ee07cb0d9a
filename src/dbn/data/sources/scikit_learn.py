"""Tables that come with scikit-learn: no download."""

from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from dbn.data.tables.source import TableSource


def diabetes() -> TableSource:
    """442 people with diabetes: age, sex, body mass index, blood pressure, six blood values.

    The target is a number, the progression after a year, for ``task=regression``. Columns have their own units
    (scikit-learn scales them otherwise).

    References:
        Efron, Hastie, Johnstone & Tibshirani (2004), *Least angle regression*, Annals of Statistics 32:407.
    """
    found = load_diabetes(as_frame=True, scaled=False).frame
    return TableSource.of(found.rename(columns={"target": "progression"}), "progression", name="diabetes")


def wine() -> TableSource:
    """178 wines of three growers: 13 chemical measurements.

    References:
        Forina et al. (1988), *PARVUS*; Aeberhard, Coomans & de Vel (1992).
    """
    return _classes(load_wine(as_frame=True), "wine", "grower")


def breast_cancer() -> TableSource:
    """569 breast masses, malignant or benign: 30 measurements of cell nuclei.

    References:
        Street, Wolberg & Mangasarian (1993), *Nuclear feature extraction for breast tumor diagnosis*.
    """
    return _classes(load_breast_cancer(as_frame=True), "breast_cancer", "diagnosis")


def _classes(found: object, name: str, target: str) -> TableSource:
    """A table whose target has the names of its classes."""
    frame, names = found.frame, found.target_names  # type: ignore[attr-defined]  # a Bunch
    classes = frame.pop("target").map(dict(enumerate(map(str, names))))
    return TableSource.of(frame.assign(**{target: classes}), target, name=name)
