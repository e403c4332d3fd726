"""Lesson: what a vote says about other inputs, by the lemma of Neyman and Pearson."""

from __future__ import annotations

from ddrs_core.dashboard.learn.lesson import Answer, Lesson, Question, RealImages, Step
from ddrs_core.dashboard.learn.picture import Picture

_PICTURE = Picture("proof")


LESSON = Lesson(
    name="proof",
    title="From votes to a proof",
    idea="A vote at one point limits what it can be nearby. The worst classifier that agrees "
    "with the vote is a half-space, and it gives the radius.",
    steps=(
        Step(
            "Blue has $p_A = 80\\,\\%$ of the votes at the image $x$. Then the image moves by $δ$. "
            "**You are the attacker**: make cells orange, but at most 20 % of the noise around "
            "$x$. How far can you bring blue down at $x + δ$?",
            "Give them two minutes. Cells around x are expensive and bring little; cells to the "
            "right of x + delta are cheap and bring much. Whoever says why is close to the lemma: "
            "take what costs least at x for what it brings at x + delta.",
            {"mode": "game", "p": 0.8, "sigma": 0.25, "delta": 0.15},
        ),
        Step(
            "The worst case is a **half-line**: blue up to a border, orange beyond. Every network "
            "with $p_A = 80\\,\\%$ keeps at least as much blue. Drag $δ$: when does even the worst "
            "one lose the majority? **That distance is the certified radius** "
            "$R = σ\\,Φ^{-1}(p_A)$, where $Φ^{-1}(p)$ is how many standard deviations a normal "
            "variable stays below with probability $p$.",
            "Neyman and Pearson, 1933: order the cells by the ratio of the two densities, which "
            "grows along the line. So the cells furthest to the right go first. At delta = R the "
            "moved curve stands with its middle on the border: half and half.",
            {"mode": "half", "p": 0.8, "sigma": 0.25, "delta": 0.1},
        ),
        Step(
            "Now change $p_A$ and $σ$: the border lies at $σ\\,Φ^{-1}(p_A)$, and so $R$ is this "
            "number. An image has thousands of pixels, but noise is the same in all directions: "
            "**only the direction of the move matters**, and the worst case is a half-space.",
            "Why one dimension is enough: turn the axes so that the move lies along one of them; "
            "the noise in the others is independent of it. p_A close to 1 is precious: from 99 to "
            "99.9 % the radius grows by a third. And p_A is not a free choice: more noise lowers "
            "it. That is lesson 5.",
            {"mode": "half", "p": 0.99, "sigma": 0.2, "delta": 0.3},
        ),
    ),
    question=Question(
        "Two networks have the same $p_A = 0.9$ at the same $σ$. One is a straight border, the "
        "other a maze of blue and orange. Which of them gets the larger certified radius?",
        (
            Answer(
                "The straight border: it is simpler.",
                "The certificate knows only σ and $p_A$. A straight border is exactly the worst "
                "case, so for it the radius cannot be improved.",
            ),
            Answer(
                "The maze: it is further from the worst case.",
                "The maze may really be more robust, but the certificate cannot know: it uses "
                "nothing but σ and $p_A$.",
            ),
            Answer(
                "Both get the same radius.",
                "$R = σ\\,Φ^{-1}(p_A)$ uses nothing else. For the straight border it is exact; the "
                "maze may in truth be more robust than its certificate says.",
                right=True,
            ),
            Answer(
                "Neither: a vote says nothing about other points.",
                "The clouds of two near points overlap, so a large majority at one limits how "
                "small it can be at the other.",
            ),
        ),
        "The second answer is the interesting one: a certificate is a lower bound. How much is "
        "lost is seen when an attack needs far more than R.",
    ),
    take_home="A majority of p_A under noise σ cannot be lost within R = σ Φ⁻¹(p_A), whatever the "
    "network is, since no network loses more than a half-space.",
    take_home_note="Three words to keep: vote, worst case, radius. The network's inside was never "
    "used.",
    real=(
        RealImages(
            "The same formula with a digit's votes",
            "explorer",
            {
                "dataset": "digits",
                "model": "digits-gaussian-0.50",
                "image": "58",
                "bound": "one-sided",
            },
            "Drag along the curve: the formula stands below it with its numbers. Press "
            "*Certify σ₀ and σ\\** at the top, and $p_A$ becomes a lower bound from votes.",
        ),
    ),
    draw=_PICTURE.show,
)
