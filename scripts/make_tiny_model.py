"""Make a language model from nothing: a few layers of Llama with random weights, and its tokenizer.

It writes words of no sense, as fast as a processor can, and always the same for the same question:
enough for a real engine to stand behind Santral. Nothing is downloaded. Needs torch, transformers
and tokenizers (``.venv-clients/engine``):

    .venv-clients/engine/bin/python scripts/make_tiny_model.py FOLDER
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROOT = Path(__file__).parents[1]
SEED = 20261122  # chosen: the weights, and so every answer, follow from it
VOCABULARY = 2000  # chosen: whole words of our documents, pieces of others
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")

#: A turn is its role, a line, its text and an end. Written for this model.
TEMPLATE = (
    "{% for message in messages %}{{ '<s>' + message.role + '\n' + message.content + '</s>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)


def main(folder: Path) -> None:
    """Write the model and its tokenizer into a folder."""
    tokenizer = tokenizer_of(texts())
    tokenizer.save_pretrained(folder)
    model = model_for(tokenizer)
    model.save_pretrained(folder)
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{folder}: {millions:.1f} million weights, {len(tokenizer)} tokens")


def texts() -> Iterator[str]:
    """Yield the documents of this repository, in both languages."""
    for file in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        yield file.read_text(encoding="utf-8")


def tokenizer_of(documents: Iterator[str]) -> PreTrainedTokenizerFast:
    """Learn byte pairs, so that any text can be written and read back exactly."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(documents, trainer)
    unknown, begin, end, pad = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token=unknown,
        bos_token=begin,
        eos_token=end,
        pad_token=pad,
        chat_template=TEMPLATE,
        model_max_length=4096,
    )


def model_for(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a small Llama; greedy, so that its answers repeat."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).eval()
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_tiny_model.py FOLDER")
    main(Path(sys.argv[1]))
