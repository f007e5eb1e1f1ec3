"""Episodes without labels (GEOM-U): a pseudo-class is one image, its augmented views are its supports and queries.

As in CAMeLU (arXiv 2405.16124, section 4.1) a query is (1 - l) x + l z, l uniform in [0.01, 0.499): x a view of the
pseudo-class's image, z a view of an image that is no pseudo-class of the episode; its label is that of x. CAMeLU mixes
pictures and encodes the mixture in every step. Here features are cached, so features are mixed and scaled to length 1 again:
a query lies between two images in feature space, which is not quite where the encoder would put a mixed picture. Pixels, which
a backbone reads in every step, are mixed as CAMeLU does.

Shape letters: B episodes, W ways, V views of an image, K views of it in an episode, Z = W * n_query images to mix in,
D features or pixels.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipelines.training_settings import Training
from training.batch import Batch
from training.choose import distinct
from training.episodes import Noise
from training.noise import key, keys, uniform
from training.regimes import Regime
from training.sampler import CPU, POOL, STEP, ways_and_shots
from training.shots import varied_shots, weight_table
from training.store import FeatureStore
from training.synthetic import in_order

LEAST_MIXED, MOST_MIXED = 0.01, 0.499


def views_of(regime: Regime, settings: Training) -> int:
    """Views that each image has.

    Raises ValueError (one line) if a domain has too few for the supports and a query, or another number than the first.
    """
    needed = settings.max_shot + 1
    counts = [0 if domain.views_NVD is None else domain.views_NVD.shape[1] for domain in regime.domains]
    for domain, count in zip(regime.domains, counts, strict=True):
        if count < needed or count != counts[0]:
            wanted = (
                f"{needed} or more," if count < needed else f"as many as domain {regime.domains[0].name!r} has, {counts[0]},"
            )
            raise ValueError(
                f"domain {domain.name!r}: regime pseudo at {settings.max_shot} shots needs views of each image, {wanted} found "
                f"{count}; set encoding.views and encode it again"
            )
    return counts[0]


class PseudoSampler:
    """Batches of pseudo-tasks. Raises ValueError (one line) as `views_of` does, and if a domain has too few images."""

    def __init__(
        self, regime: Regime, settings: Training, seed: int, store: FeatureStore, *, device: torch.device = CPU
    ) -> None:
        """`store` holds the views, those of one image after those of another."""
        self.settings, self.seed, self.store, self.schedule = settings, seed, store, regime.schedule
        self.views = views_of(regime, settings)
        for name, images in zip(regime.pools.names, self._images(regime), strict=True):
            if images <= settings.n_way:
                raise ValueError(
                    f"{name}: {settings.n_way}-way pseudo-tasks need {settings.n_way + 1} or more different images in split "
                    f"train, found {images}; use another domain or fewer ways"
                )
        self._here = regime.pools.to(device)
        self._cumulated_PG = regime.schedule.cumulated().to(device)

    @staticmethod
    def _images(regime: Regime) -> list[int]:
        pools = regime.pools
        return [int(pools.sizes(pool).sum()) for pool in range(len(pools.names))]

    def __call__(self, step: int, start: int, stop: int) -> Batch:
        """The pseudo-tasks of this step from number `start` to `stop`."""
        pools, asked = self._here, self.settings
        n_way, n_shot = ways_and_shots(asked, self.seed, step)
        n_query = min(asked.n_query, self.views - n_shot)
        queries, mixed = n_way * n_query, n_way * (1 + n_query)
        key_B = keys(start, stop, self.seed, STEP, step, device=pools.size_C.device)
        pool_B = torch.searchsorted(self._cumulated_PG[self.schedule.phase(step)], uniform(key(key_B, POOL)), right=True)
        noise = Noise(key_B, 2 * mixed + n_way * self.views + 2 * queries + n_way * (n_shot + n_query) + n_way + 1)
        class_B = pools.first_G[pool_B]
        size_B1 = pools.size_C[class_B].unsqueeze(1)
        drawn_BX = distinct(noise.uniform(mixed), size_B1.squeeze(1))
        # images beside the pseudo-classes are mixed in, again and again where there are not enough of them
        others_BZ = n_way + torch.arange(queries, device=key_B.device) % (size_B1 - n_way)
        place_BX = torch.cat([drawn_BX[:, :n_way], drawn_BX.gather(1, others_BZ)], dim=1)
        unit_BX = pools.unit_C[class_B].unsqueeze(1) + place_BX
        row_BX = pools.rows_N[pools.first_K[unit_BX] + (noise.uniform(mixed) * pools.images_K[unit_BX]).long()]
        all_views = torch.full((1,), self.views, device=key_B.device)
        view_BWK = distinct(noise.uniform(n_way, self.views), all_views)[..., : n_shot + n_query]
        view_BWK = row_BX[:, :n_way].unsqueeze(-1) * self.views + view_BWK
        view_BZ = row_BX[:, n_way:] * self.views + (noise.uniform(queries) * self.views).long()
        amount_BZ1 = LEAST_MIXED + (MOST_MIXED - LEAST_MIXED) * noise.uniform(queries).unsqueeze(-1)
        feature_BWKD = self.store.gather(view_BWK)
        query_BZD = mix(feature_BWKD[:, :, n_shot:].flatten(1, 2), self.store.gather(view_BZ), self._moved(amount_BZ1))
        label_BWK = torch.arange(n_way, device=query_BZD.device).view(1, n_way, 1).expand(*view_BWK.shape)
        order_BT = self._moved(noise.hashes(n_way * (n_shot + n_query)))
        order_BS, order_BQ = order_BT[:, : n_way * n_shot], order_BT[:, n_way * n_shot :]
        support_BSD, support_label_BS = in_order(feature_BWKD[:, :, :n_shot], label_BWK[..., :n_shot], order_BS)
        query_BQD, query_label_BQ = in_order(
            query_BZD.view(-1, n_way, n_query, query_BZD.shape[-1]), label_BWK[..., n_shot:], order_BQ
        )
        weight_BS = None
        if asked.shots == "varied":
            size_BW = torch.full((len(key_B), n_way), self.views - n_query, device=key_B.device)
            hashes = noise.hashes(n_way), noise.hashes(1)[:, 0]
            shots_BW = varied_shots(*hashes, size_BW, asked.min_shot, n_shot, weight_table(key_B.device))
            taken_BWS = torch.arange(n_shot, device=key_B.device) < shots_BW.unsqueeze(-1)
            weight_BS = self._moved(taken_BWS.float().flatten(1)).gather(1, order_BS.argsort(dim=1))
        weight_BQ = torch.ones_like(query_label_BQ, dtype=torch.float32)
        return Batch(
            support_BSD,
            support_label_BS,
            query_BQD,
            query_label_BQ,
            weight_BQ,
            n_way,
            support_weight_BS=weight_BS,
        )

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.store.device)


def mix(image_BQD: Tensor, other_BQD: Tensor, amount_BQ1: Tensor) -> Tensor:
    """(1 - l) x + l z at length 1, or pixels of it."""
    if image_BQD.dtype == torch.uint8:
        return torch.lerp(image_BQD.float(), other_BQD.float(), amount_BQ1.float()).round().to(torch.uint8)
    amount_BQ1 = amount_BQ1.to(image_BQD.dtype)
    return normalize((1 - amount_BQ1) * image_BQD + amount_BQ1 * other_BQD, dim=-1)
