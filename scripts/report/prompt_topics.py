"""Where prompts lie on a map, and which topics they form: vectors, two dimensions, clusters named by their words."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

COMPONENTS = 50
"""Dimensions that the map and the clusters start from; what lies beyond is mostly noise of single words."""
WORDS = 3
"""Words that name a topic."""
STEPS = 500
"""Of t-SNE's gradient descent; the arrangement of clusters has settled by then."""


def embed(texts: Sequence[str], model: Path, batch_tokens: int = 16_384) -> np.ndarray:
    """Mean of the last hidden states over the tokens of each text, of length 1: texts x width.

    Any encoder that transformers knows will do, those of sentence-transformers too; code that comes with a model is not
    run. Texts are cut at the model's own limit.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)
    encoder = AutoModel.from_pretrained(model, trust_remote_code=False, local_files_only=True, dtype=torch.float32)
    encoder = encoder.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    limit = min(tokenizer.model_max_length, getattr(encoder.config, "max_position_embeddings", 512), 512)
    ids = [tokenizer(text, truncation=True, max_length=limit)["input_ids"] for text in texts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors = np.zeros((len(ids), encoder.config.hidden_size), dtype=np.float32)
    while order:
        rows = max(1, batch_tokens // max(1, len(ids[order[-1]])))  # the longest first: memory is known at once
        chosen, order = order[-rows:], order[:-rows]
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chosen]}, return_tensors="pt").to(encoder.device)
        with torch.inference_mode():
            hidden = encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        vectors[chosen] = ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).float().cpu().numpy()
    return unit(vectors)


def word_weights(texts: Sequence[str]) -> tuple["csr_matrix", np.ndarray]:
    """TF-IDF of the words of each text (texts x words), and the words; English stop words left out where others are."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    for stop_words in ("english", None):  # a world of few words may consist of stop words
        vectorizer = TfidfVectorizer(
            sublinear_tf=True, stop_words=stop_words, token_pattern=r"(?u)\b\w+\b", max_features=20_000
        )
        try:
            weights = vectorizer.fit_transform(texts)
            return weights, vectorizer.get_feature_names_out()
        except ValueError:
            continue
    raise ValueError("no text has a word")


def condense(vectors: "np.ndarray | csr_matrix", seed: int) -> np.ndarray:
    """The first `COMPONENTS` singular directions: rows x at most 50; rows of length 1."""
    from sklearn.decomposition import TruncatedSVD

    components = min(COMPONENTS, vectors.shape[0] - 1, vectors.shape[1] - 1)
    if components < 2:
        return unit(np.asarray(vectors.todense() if hasattr(vectors, "todense") else vectors))
    return unit(TruncatedSVD(components, random_state=seed).fit_transform(vectors))


def flatten(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Two dimensions in which near rows stay near, by t-SNE (van der Maaten & Hinton, 2008): rows x 2."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(2.0, (len(vectors) - 1) / 4))
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed, max_iter=STEPS).fit_transform(vectors)


def cluster(vectors: np.ndarray, topics: int, seed: int) -> np.ndarray:
    """The topic of each row, 0 the largest, by k-means."""
    from sklearn.cluster import KMeans

    found = KMeans(min(topics, len(vectors)), n_init=4, random_state=seed).fit_predict(vectors)
    by_size = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(by_size)[found]


def name_topics(weights: "csr_matrix", words: np.ndarray, topic: np.ndarray) -> list[str]:
    """The words that each topic has more of than all prompts together, the most telling first."""
    everywhere = np.asarray(weights.mean(axis=0)).ravel()
    names = []
    for k in range(topic.max() + 1):
        more = np.asarray(weights[topic == k].mean(axis=0)).ravel() - everywhere
        names.append(" · ".join(words[i] for i in np.argsort(-more, kind="stable")[:WORDS]))
    return names


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
