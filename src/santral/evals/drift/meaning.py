"""What texts are about, as vectors that are fitted to the two windows themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from santral.retrieval.analysis.language import detect_language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.embedding.fitted.fit import fit

#: Columns of the vectors. Chosen: as many as some hundred short texts can fill; a drift that shows in
#: fewer texts than that is found by its exemplars, not by more columns.
DIMENSIONS = 64


def vectors_of(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return a vector for each text, [n, DIMENSIONS], of unit length or zero; no model is needed.

    They are of these texts alone, so words that only one window has count as well.

    Raises:
        StoreError: the ``rag`` extra is not installed.
    """
    stems, grams = terms_of(texts, [detect_language(text) for text in texts])
    return np.asarray(fit(stems, grams, DIMENSIONS).vectors_of(stems, grams), np.float64)
