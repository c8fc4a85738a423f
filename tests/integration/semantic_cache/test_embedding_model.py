"""The real model on its own: its vectors are those of plain sentence-transformers, and so are other models'."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from services.semantic_cache.adapters.packed_linear import PackedLinear
from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.device import require_device
from services.semantic_cache.model_folder import DeviceNotFoundError, ModelFolder, ModelNotFoundError, locate

EQUAL = 1e-5
"""Between components of unit vectors: float32, summed in another order."""
LONG = "The quick brown fox jumps over the lazy dog. " * 40
TEXTS = [
    "a",
    "What is the capital of France?",
    "¿Cuánto cuesta enviar un paquete a Canadá? 🦊 漢字",
    "Is it safe to take ibuprofen with alcohol, and does it matter whether it is wine or beer, before or after a meal?",
    "",
    "What is 2^10?",
    LONG,
    LONG[:900],
]


@pytest.fixture(scope="module")
def model() -> SentenceTransformerModel:
    """Loaded once: it takes seconds."""
    return SentenceTransformerModel(locate(""), threads=2)


@pytest.fixture(scope="module")
def plain() -> SentenceTransformer:
    """The same model without anything of ours."""
    return SentenceTransformer(str(locate("").path), device="cpu", local_files_only=True)


def encoded(plain: SentenceTransformer, texts: Sequence[str]) -> NDArray[np.float32]:
    """Plain encode, one text at a time: nothing is padded."""
    rows = [plain.encode([text], normalize_embeddings=True, show_progress_bar=False)[0] for text in texts]
    return np.asarray(rows, np.float32)


def embedded(model: SentenceTransformerModel, texts: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([each.vector for each in model.embed(texts)])


@pytest.fixture(scope="module")
def expected(plain: SentenceTransformer) -> NDArray[np.float32]:
    """The vectors of `TEXTS`."""
    return encoded(plain, TEXTS)


@pytest.mark.parametrize("batch", [1, 3, len(TEXTS)])
def test_vectors_are_those_of_plain_encode_in_any_company(
    model: SentenceTransformerModel, expected: NDArray[np.float32], batch: int
) -> None:
    found = np.concatenate([embedded(model, TEXTS[start : start + batch]) for start in range(0, len(TEXTS), batch)])
    assert np.abs(found - expected).max() <= EQUAL
    assert "direct, packed" in repr(model)


def test_a_text_is_whole_up_to_the_last_token_that_the_model_reads(
    model: SentenceTransformerModel, plain: SentenceTransformer
) -> None:
    # Each word is one token; two more mark the beginning and the end.
    most = (plain.max_seq_length or 0) - 2
    texts = [" ".join(["fox"] * words) for words in (1, most - 1, most, most + 1, 5 * most)]
    assert [each.whole for each in model.embed(texts)] == [True, True, True, False, False]


def test_a_vector_keeps_nothing_else_alive_and_cannot_be_written_to(model: SentenceTransformerModel) -> None:
    vector = model.embed(TEXTS[:4])[1].vector
    assert vector.base is None
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1.0


def test_no_texts_make_no_vectors(model: SentenceTransformerModel) -> None:
    assert model.embed([]) == []


def static_model(words: Sequence[str]) -> StaticEmbedding:
    """A model without attention: its features have another shape than those of transformers."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(["?", *words])}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    return StaticEmbedding(tokenizer, embedding_dim=6)


def test_a_model_of_another_kind_goes_without_the_short_cuts_it_does_not_allow(tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = SentenceTransformer(modules=[static_model(["how", "a", "the", "fox"]), Dense(6, 4)], device="cpu")
    other.save_pretrained(str(tmp_path), create_model_card=False)
    folder = locate(str(tmp_path))
    assert folder.dimension == 4
    texts = ["the fox", "how", "a fox the fox the fox"]
    assert np.abs(embedded(SentenceTransformerModel(folder, 1), texts) - encoded(other, texts)).max() <= EQUAL


def test_a_model_that_wants_a_prompt_gets_it(
    tmp_path: Path, plain: SentenceTransformer, expected: NDArray[np.float32]
) -> None:
    prompted = SentenceTransformer(
        modules=list(plain.children()), prompts={"query": "query: "}, default_prompt_name="query", device="cpu"
    )
    prompted.save_pretrained(str(tmp_path), create_model_card=False)
    folder = locate(str(tmp_path))
    found = embedded(SentenceTransformerModel(folder, 1), TEXTS)
    assert np.abs(found - encoded(prompted, TEXTS)).max() <= EQUAL
    assert np.abs(found - expected).max() > 0.01


def test_a_short_cut_that_changes_the_vectors_is_not_taken(
    expected: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a PyTorch whose layers for the processor are broken would do it.
    monkeypatch.setattr(PackedLinear, "forward", lambda layer, tokens: torch.nn.Linear.forward(layer, tokens).relu())
    careful = SentenceTransformerModel(locate(""), threads=1)
    assert "direct" in repr(careful)
    assert "packed" not in repr(careful)
    assert np.abs(embedded(careful, TEXTS) - expected).max() <= EQUAL


def test_a_folder_that_contradicts_itself_is_refused() -> None:
    folder = locate("")
    with pytest.raises(ModelNotFoundError, match="12 dimensions"):
        SentenceTransformerModel(ModelFolder(folder.path, folder.name, 12), 1)


@pytest.mark.parametrize("device", ["cuda:99", "cpu:1", "xpu", "toaster", ""])
def test_a_device_that_is_not_there_is_refused_and_those_that_are_there_are_named(device: str) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"cpu"):
        require_device(device)


def test_the_processor_is_always_there() -> None:
    assert require_device("cpu").type == "cpu"
