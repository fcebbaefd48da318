r"""Scores to losses: the Wasserstein objective, and the classic GAN losses it is compared with.

The critic scores **real high and fake low**, whatever the objective. A classic GAN's discriminator is
:math:`D = \sigma(f)`; here ``f``, its score before the sigmoid, is what the networks give and the losses take.
"""

from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn.functional import softplus


class Objective(ABC):
    """What critic and generator minimise.

    Attributes:
        measures_distance: Whether the difference of mean scores estimates a distance between the distributions.
    """

    measures_distance: bool = False

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar, from scores of real (N,) and of generated samples (M,)."""

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar, from scores of generated samples (M,)."""


class Wasserstein(Objective):
    r"""The dual form of the Earth-Mover distance.

    .. math:: L_C = \mathbb{E} f(\tilde x) - \mathbb{E} f(x), \qquad L_G = -\mathbb{E} f(\tilde x)

    With :math:`f` 1-Lipschitz, :math:`-L_C` is at most :math:`W_1`, and equal to it for the best :math:`f`.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875
    """

    measures_distance = True

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -fake.mean()


class Minimax(Objective):
    r"""The saturating loss of the first GAN: its generator's gradient vanishes as the discriminator gets better.

    .. math:: L_C = -\mathbb{E} \log D(x) - \mathbb{E} \log(1 - D(\tilde x)),
        \qquad L_G = \mathbb{E} \log(1 - D(\tilde x))

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    """

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        return -softplus(fake).mean()


class NonSaturating(Minimax):
    r"""The minimax discriminator with the generator's loss turned round; its gradient is large and unstable instead.

    .. math:: L_G = -\mathbb{E} \log D(\tilde x)

    References:
        Generative Adversarial Networks (Goodfellow et al., 2014), section 3, https://arxiv.org/abs/1406.2661
    """

    def generator_loss(self, fake: Tensor) -> Tensor:
        return softplus(-fake).mean()
