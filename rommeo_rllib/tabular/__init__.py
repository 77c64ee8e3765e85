"""Tabular learners in NumPy: ROMMEO-Q and its rivals, many independent trials at once.

No Ray and no torch are needed here (`trainable.py` alone knows Ray).

```python
from rommeo_rllib.tabular import ROMMEOQ, PayoffPlay, make_learners

learners = make_learners(ROMMEOQ, [3, 3], trials=100, seed=0, initial_q=12.0, alpha=1.0)
history = PayoffPlay(payoff, learners).run(episodes=300)
history.p_optimum[-1]  # one probability a trial
```
"""

from rommeo_rllib.tabular.distributed_q import DistributedQ
from rommeo_rllib.tabular.fmq import FMQ
from rommeo_rllib.tabular.hysteretic_q import HystereticQ
from rommeo_rllib.tabular.jal import JAL
from rommeo_rllib.tabular.learner import TabularLearner
from rommeo_rllib.tabular.lenient_q import LenientQ
from rommeo_rllib.tabular.play import History, PayoffPlay, converged, make_learners
from rommeo_rllib.tabular.pr2_q import PR2Q
from rommeo_rllib.tabular.rommeo_q import ROMMEOQ, ROMMEOQEMP
from rommeo_rllib.tabular.wolf_phc import WoLFPHC

LEARNERS: dict[str, type[TabularLearner]] = {
    learner.name: learner
    for learner in (
        ROMMEOQ,
        ROMMEOQEMP,
        JAL,
        WoLFPHC,
        FMQ,
        PR2Q,
        DistributedQ,
        HystereticQ,
        LenientQ,
    )
}
"""All learners by their names."""

__all__ = [
    "FMQ",
    "JAL",
    "LEARNERS",
    "PR2Q",
    "ROMMEOQ",
    "ROMMEOQEMP",
    "DistributedQ",
    "History",
    "HystereticQ",
    "LenientQ",
    "PayoffPlay",
    "TabularLearner",
    "WoLFPHC",
    "converged",
    "make_learners",
]
