"""The terms that the pages use, each in a sentence; ``docs/glossary.md`` has the same."""

from __future__ import annotations

import streamlit as st

TERMS = {
    "smoothed classifier": "answers with the class that the network gives most often to noisy "
    "copies of an image.",
    "certified radius R": "the ℓ₂ distance, with pixels in [0, 1], within which the smoothed "
    "classifier provably keeps its class, except with probability α over the noise that was drawn.",
    "σ, σ₀, σ*": "the standard deviation of the noise; where a search for it begins, usually that "
    "of the training; and the level that the search chose.",
    "N₀, N": "the votes that choose the class, and the fresh ones that bound its probability.",
    "α": "the probability, at most, that a certificate is wrong.",
    "Φ⁻¹(p)": "how many standard deviations a normal variable stays below with probability p.",
    "abstain": "no class has a provable majority of the votes, so nothing is certified.",
    "bound": "one-sided: a lower bound on the probability of the class; two-sided: also an upper "
    "bound on that of the runner-up, with half of α each.",
    "cap": "the largest radius that N unanimous votes would prove at a noise level.",
    "grade": "what a radius is worth. UNCONDITIONAL: for every input alike. AFTER x: for queries "
    "after this image was stored. CONDITIONAL: only for the classifier smoothed with this image's "
    "own σ.",
    "certified accuracy at r": "the share of images whose class is right with a radius of at least "
    "r.",
    "ACR": "the average certified radius, where wrong answers and abstentions count as 0; it says "
    "little without the certified accuracies.",
    "adaptive sampling": "votes end as soon as the radii of interest are settled; what is proved "
    "is then a lower bound (≥) of what N votes would prove.",
    "envelope": "the best of several noise levels at each radius: no classifier has it.",
    "regret": "the share of the best radius that is lost at the chosen noise level.",
    "tuned": "one noise level for all images, chosen on training images: the baseline that a level "
    "per image has to beat.",
    "memory bank": "the certified balls that were stored so far; none overlaps a ball of another "
    "class.",
}


def glossary_text() -> str:
    """All terms as Markdown."""
    return "\n\n".join(f"**{term}**: {text}" for term, text in TERMS.items())


def show_glossary() -> None:
    """A button in the sidebar that opens the glossary."""
    with st.sidebar.popover("Glossary", icon=":material/menu_book:", width="stretch"):
        st.markdown(glossary_text())
