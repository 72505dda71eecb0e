"""LoRA projections that read the same tensor, computed together: one product with all their A, each B added in place
of a sum, in the base's own precision.

PEFT computes each adapter by itself and casts the input to float32 for it, once for query, key, value, gate and up
each. Its modules, their names and weights stay as they are; what the base does, plain, float8 or quantised, stays too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch.nn.functional import linear

TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))  # names that read one tensor, in call order
ADAPTER = "default"


@dataclass(eq=False)
class Group:
    """Adapters that read the same tensor, and the product of the input that is being read with all of their A."""

    members: list[LoraLinear]
    read: torch.Tensor | None = None
    products: tuple[torch.Tensor, ...] = field(default=())

    def product(self, place: int, x: torch.Tensor) -> torch.Tensor:
        """That of one member; it is kept until the last member has had its own."""
        if len(self.members) == 1:
            return linear(x, weight(self.members[0].lora_A).to(x.dtype))
        if self.read is not x:
            weights = [weight(one.lora_A) for one in self.members]
            products = linear(x, torch.cat(weights).to(x.dtype))
            self.products = torch.split(products, [len(one) for one in weights], dim=-1)
            self.read = x
        found = self.products[place]
        if place == len(self.members) - 1:
            self.read, self.products = None, ()
        return found


class FusedLinear(LoraLinear):
    """PEFT's module with another forward: base(x) + scaling · B·A·x as one addition to the base's result."""

    group: Group
    place: int

    def forward(self, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        result = cast("torch.Tensor", self.get_base_layer()(x, *args, **kwargs))
        low = self.group.product(self.place, x.to(result.dtype) if x.dtype != result.dtype else x)
        flat = torch.addmm(
            result.reshape(-1, result.shape[-1]),
            low.reshape(-1, low.shape[-1]),
            weight(self.lora_B).to(result.dtype).t(),
            alpha=self.scaling[ADAPTER],
        )
        return flat.view(result.shape)


def weight(matrices: torch.nn.ModuleDict) -> torch.Tensor:
    return cast("torch.nn.Linear", matrices[ADAPTER]).weight


def fuse(model: PeftModel, *, together: bool = True) -> int:
    """Compute the adapters of `model` together; gives how many groups there are.

    Without `together` each by itself, still in the base's precision and as one addition: a layer that is compiled to
    be computed again may leave nothing for the next module.
    Raises NotImplementedError for adapters that are not plain LoRA without dropout.
    """
    modules = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    if not modules:
        raise NotImplementedError("no linear module has an adapter")
    groups = list(_groups(modules)) if together else [[module] for module in modules.values()]
    for module in modules.values():
        _expect_plain(module)
    for members in groups:
        group = Group(members)
        for place, module in enumerate(members):
            module.__class__ = FusedLinear
            # Past nn.Module's own bookkeeping: the group holds its members, and no module may hold itself.
            module.__dict__["group"], module.__dict__["place"] = group, place
    return len(groups)


def _expect_plain(module: LoraLinear) -> None:
    if type(module) is not LoraLinear or module.lora_variant or list(module.lora_A) != [ADAPTER]:
        raise NotImplementedError("an adapter is not plain LoRA")
    if not isinstance(module.lora_dropout[ADAPTER], torch.nn.Identity):
        raise NotImplementedError("the adapter has dropout")
    if module.lora_bias[ADAPTER] or module.fan_in_fan_out:
        raise NotImplementedError("an adapter has a bias, or its base is stored the other way round")


def _groups(modules: dict[str, LoraLinear]) -> Iterator[list[LoraLinear]]:
    """Those of one parent whose names are known to read one tensor; every other module by itself."""
    parents: dict[str, dict[str, LoraLinear]] = {}
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        parents.setdefault(parent, {})[own] = module
    for children in parents.values():
        for names in TOGETHER:
            found = [children[name] for name in names if name in children]
            if len({one.in_features for one in found}) == 1:
                for name in names:
                    children.pop(name, None)
                yield found
        for module in children.values():
            yield [module]
