"""Blocks of instructlab-sdg, each as what it does to columns and steps. Nothing here has names of ours yet.

A block that melts columns into rows makes branches: what was one pipeline goes on as several, each a flow of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import jinja2

from instructlab_like.flows import LeafKind
from instructlab_like.interop.answers import Tags, UnreadableError, by_pattern, by_tags
from instructlab_like.interop.branch import Branch, Keep, Prompted, Step
from instructlab_like.interop.columns import Column, Shown, Source, chosen, joined, of_field, of_leaf, of_text
from instructlab_like.interop.conditions import passes, shown, wanted
from instructlab_like.interop.pipelines import ASKING, Block, Config, Pipeline, config, values
from instructlab_like.interop.sheet import Entry
from instructlab_like.interop.told import LeftError, Outcome, Told

TEMPERATURE, MAX_TOKENS = 0.0, 4096  # of instructlab-sdg, where a block says nothing
SCALED = 30  # its number of instructions to generate, where the user says nothing
MOST_DRAWS, MOST_BRANCHES = 64, 16
SAMPLING = ("temperature", "max_tokens", "top_p", "stop")
ALL = "All"
WHOLE: Tags = (("", ""),)  # the answer is the text


class Import:
    """One pipeline on its way to flows, and all that is told of it."""

    def __init__(self, pipeline: Pipeline, kind: LeafKind) -> None:
        self.pipeline = pipeline
        self.kind = kind
        self.told: list[Told] = []
        self.block: Block | None = None

    def say(self, outcome: Outcome, what: str, fix: str = "", entry: Entry | None = None, *, of: str = "") -> None:
        block = self.block
        at = entry or (block.entry if block else self.pipeline.version)
        one = Told(
            pipeline=self.pipeline.path.name,
            file=str(at.path),
            line=at.line,
            block=of or (block.name if block else ""),
            type=block.type if block and not of else "",
            outcome=outcome,
            what=what,
            fix=fix,
        )
        if one not in self.told:
            self.told.append(one)

    def branches(self) -> list[Branch]:
        """The pipeline after its last block."""
        found = [Branch(self.kind, columns=of_leaf(self.kind))]
        for block in self.pipeline.blocks:
            self.block = block
            found = [after for branch in found for after in self.after(block, branch)]
            if len(found) > MOST_BRANCHES:
                what = f"goes on in more than {MOST_BRANCHES} ways"
                raise block.entry.wrong(what, "melt fewer columns, or write several pipelines")
        self.block = None
        return found

    def after(self, block: Block, branch: Branch) -> list[Branch]:
        """The branch after a block; where that cannot be carried over, what it would have made is missing."""
        try:
            found = HANDLERS[block.type](self, block, branch)
        except LeftError as error:
            self.say("left", error.what, error.fix, error.entry)
            why = f"it comes of {block.name}, which is left out"
            found = [branch.having(dict.fromkeys(would_make(block), Column("", missing=why)))]
        if block.drop_duplicates:
            what = f"rows that agree in {', '.join(block.drop_duplicates)} are not dropped before the next block"
            fix = "the recipe's filters exact_duplicate and near_duplicate drop them from the samples"
            self.say("differs", what, fix, (block.entry.fields or {}).get("drop_duplicates"))
        return [one.without(block.drop_columns) for one in found]

    # --- blocks that ask

    def ask(self, block: Block, branch: Branch, times: int = 1) -> list[Branch]:
        prompt, first = self.prompted(block, branch)
        columns = block.config["output_cols"].words("output_cols")
        if len(set(columns)) < len(columns):
            raise block.config["output_cols"].wrong("names a column twice", "name each once")
        tags = self.tags(block, first, columns)
        made = tuple((name, branch.count + number) for number, name in enumerate(columns[: len(tags)]))
        sampling, draws = self.sampling(block, times, first=not branch.steps)
        several = self.several(block)
        if several:
            what = f"num_samples {several}: how many a prompt asks for is the recipe's pairs_per_prompt"
            self.say("differs", what, f"generate: {{pairs_per_prompt: {several}}}", block.config["batch_kwargs"])
        shows_count = any(name == "num_samples" for _, source in prompt.sources for _, name in source.names())
        whole = tags == WHOLE
        step = Step(
            block,
            prompt,
            made,
            tags,
            sampling,
            not whole and (bool(several) or shows_count or draws == 1),
            draws,
            several,
        )
        self.model(block)
        columns_after = {name: of_field(number) for name, number in made}
        if several:
            columns_after.setdefault("num_samples", Column("count"))
        after = branch.having(columns_after)
        self.say("carried", f"step {block.name}, which makes {', '.join(name for name, _ in made)}")
        return [replace(after, steps=(*branch.steps, step), count=branch.count + len(columns))]

    def prompted(self, block: Block, branch: Branch) -> tuple[Prompted, Config]:
        columns = dict(branch.columns)
        if self.several(block):
            columns.setdefault("num_samples", Column("count"))
        by: Column | None = None
        if block.type == "ConditionalLLMBlock" or "config_paths" in block.config:
            configs, by = self.choice(block, branch)
        else:
            configs = {"": config(block.config["config_path"], self.pipeline)}
        sources = []
        for value, one in configs.items():
            source = self.source(one, block)
            shown = source.shown(columns)
            self.check_shown(shown, one, replace(branch, columns=columns), block)
            sources.append((value, source))
        first = next(iter(configs.values()))
        return Prompted(tuple(sources), by, str(first.path), columns), first

    def source(self, one: Config, block: Block) -> Source:
        try:
            source = Source(one.text)
        except jinja2.TemplateSyntaxError as error:
            entry = replace(block.entry, path=one.path, line=1)
            raise LeftError(entry, f"its prompt is no valid Jinja: {error.message}", "correct the prompt") from error
        if statement := source.strange():
            entry = replace(block.entry, path=one.path, line=one.line(statement))
            raise LeftError(entry, f"its prompt has a {statement!r}, which has no place in templates", "write it out")
        return source

    def check_shown(self, shown: Shown, one: Config, branch: Branch, block: Block) -> None:
        """All that a prompt shows is there."""
        for name in sorted(shown.columns):
            branch.column(name, replace(block.entry, path=one.path, line=one.line(name)))
        if shown.unknown or shown.assigned:
            name = (*shown.unknown, *sorted(shown.assigned))[0]
            entry = replace(block.entry, path=one.path, line=one.line(name))
            what = f"its prompt shows {name!r}, and there is no such column here"
            if shown.assigned:
                what = f"its prompt gives the column {name!r} another value"
            raise LeftError(entry, what, "give it another name in the prompt")

    def choice(self, block: Block, branch: Branch) -> tuple[dict[str, Config], Column | None]:
        """Prompts by the value of the column that chooses among them."""
        entry = block.config["config_paths"]
        configs: dict[str, Config] = {}
        for pair in entry.sequence("config_paths"):
            both = pair.sequence("config_paths")
            if len(both) != 2:
                raise pair.wrong("is no pair of a prompt and a value", "write [PATH, VALUE]")
            configs[both[1].word("a value")] = config(both[0], self.pipeline)
        if not configs:
            raise entry.wrong("names no prompt", "write at least one pair of a prompt and a value")
        if list(configs) == [ALL]:
            return configs, None
        place = block.config["selector_column_name"]
        by = branch.column(place.word("selector_column_name"), place)
        if by.constant is not None:
            if by.constant not in configs:
                raise LeftError(place, f"there is no prompt for {by.constant!r}", "add one to config_paths")
            first = next(iter(configs.values()))
            only = replace(configs[by.constant], start_tags=first.start_tags, end_tags=first.end_tags)
            return {by.constant: only}, None
        values = ", ".join(configs)
        if by.field is not None:
            what = f"one prompt for all values; a record with a value beside {values} is rejected, whatever its case"
        else:
            what = f"one prompt for all values; where the column is none of {values}, the last prompt is asked"
        self.say("differs", what, entry=entry)
        return configs, by

    def tags(self, block: Block, one: Config, columns: Sequence[str]) -> Tags:
        """How an answer's texts are found."""
        told = block.config.get("parser_kwargs")
        parser = told.mapping("parser_kwargs") if told else {}
        try:
            if "parser_name" not in parser or parser["parser_name"].scalar != "custom":
                tags, differs = by_tags(one.start_tags, one.end_tags, columns)
                for what in differs:
                    self.say("differs", what)
                return tags
            if "parsing_pattern" not in parser:
                raise block.at("parser_kwargs").wrong("says no parsing_pattern", "write one, or leave parser_name out")
            cleanup = parser.get("parser_cleanup_tags")
            drop = cleanup.words("parser_cleanup_tags") if cleanup and cleanup.kind != "null" else ()
            pattern = parser["parsing_pattern"]
            tags = by_pattern(pattern.word("parsing_pattern"), drop, columns, one.text)
            self.say("differs", "its regular expression is carried over as the tags in it", entry=pattern)
            return tags
        except UnreadableError as error:
            fix = "name start_tags and end_tags in the prompt's file, as the prompt shows them, and no parser"
            raise LeftError(block.at("parser_kwargs"), str(error), fix) from error

    def several(self, block: Block) -> int:
        told = block.config.get("batch_kwargs")
        entry = told.mapping("batch_kwargs").get("num_samples") if told and told.kind != "null" else None
        return entry.whole("num_samples") if entry and entry.kind != "null" else 0

    def sampling(self, block: Block, times: int, *, first: bool) -> tuple[dict[str, float | int | list[str]], int]:
        """What a template says of sampling, and how often its prompt is asked."""
        told = block.config.get("gen_kwargs")
        given = dict(told.mapping("gen_kwargs")) if told and told.kind != "null" else {}
        temperature = given["temperature"].number("temperature") if "temperature" in given else TEMPERATURE
        tokens = given["max_tokens"].whole("max_tokens") if "max_tokens" in given else MAX_TOKENS
        sampling: dict[str, float | int | list[str]] = {"temperature": temperature, "max_tokens": tokens}
        if "top_p" in given:
            sampling["top_p"] = given["top_p"].number("top_p")
        if "stop" in given:
            stop = given["stop"]
            sampling["stop"] = list(stop.words("stop")) if stop.kind == "list" else [stop.word("stop")]
        for name, entry in given.items():
            self.option(name, entry)
        return sampling, self.draws(given.get("n"), times, temperature, first=first)

    def option(self, name: str, entry: Entry) -> None:
        if name == "seed":
            what = f"seed {entry.scalar}: the seed of each question comes of the recipe's seed"
            self.say("differs", what, f"generate: {{seed: {entry.scalar}}} for another draw", entry)
        elif name == "model":
            self.say(
                "differs", f"model {entry.scalar}: who is asked stands in the recipe", "name it under roles", entry
            )
        elif name not in (*SAMPLING, "n"):
            self.say("left", f"the sampling option {name!r} is not known here", "set it at the server", entry)

    def draws(self, entry: Entry | None, times: int, temperature: float, *, first: bool) -> int:
        """How often a prompt is asked, within what a step can say."""
        scaled = entry is not None and entry.scalar == "scaled"
        number = (SCALED if scaled else entry.whole("n") if entry else 1) * times
        if number <= 1:
            return 1
        told = f"n {entry.scalar}" if entry else f"{times} times"
        if temperature == 0:
            what = f"{told} at temperature 0: every answer would be the same, so one is asked for"
            self.say("differs", what, "set a temperature to have several", entry)
            return 1
        if first and self.kind != "knowledge":
            what = f"{told}: the first prompts of a leaf are asked again until the recipe's prompts_per_leaf are asked"
            fix = f"generate: {{prompts_per_leaf: N}}, with N = {number} times the leaf's seed examples"
            self.say("differs", what, fix, entry)
            return number if number <= MOST_DRAWS else MOST_DRAWS
        if scaled:
            what = f"n scaled: {SCALED} draws of each prompt, its default; there the user says how many"
            self.say("differs", what, "change draws in the flow; prompts_per_leaf bounds them all", entry)
        if number > MOST_DRAWS:
            self.say("differs", f"{told}: a prompt is drawn {MOST_DRAWS} times at most", "run it again", entry)
        return min(number, MOST_DRAWS)

    def model(self, block: Block) -> None:
        """Who is asked, and in which wrapping, is the recipe's and the server's."""
        for name in ("model_id", "model_family"):
            if name in block.config and block.config[name].kind != "null":
                entry = block.config[name]
                what = f"{name} {entry.scalar}: who is asked stands in the recipe"
                self.say("differs", what, "name a model for the step's role under roles", entry)
        wrapping = block.config.get("model_prompt")
        if wrapping is None or wrapping.kind == "null":
            return
        if wrapping.scalar.strip():
            what = "model_prompt: the server's own chat template is around every prompt"
            self.say("left", what, "serve the model with this template", wrapping)
        else:
            what = "an empty model_prompt: the prompt goes to the chat endpoint all the same, in the server's template"
            self.say("differs", what, entry=wrapping)

    def messages(self, block: Block, _: Branch) -> list[Branch]:
        what = f"asks with conversations that stand in the column {block.word('input_col')}; leaves hold none"
        raise LeftError(block.entry, what, "ask with an LLMBlock and a prompt")

    def repeated(self, block: Block, branch: Branch) -> list[Branch]:
        times = block.config["num_iters"].whole("num_iters")
        own = {name: value for name, value in block.config.items() if name not in ("num_iters", "block_type")}
        inner = replace(block, type=block.word("block_type"), config=own)
        if times < 1:
            raise block.config["num_iters"].wrong("repeats its block less than once", "write 1 or more")
        if inner.type in ASKING:
            return self.ask(inner, branch, times)
        if times > 1:
            self.say(
                "differs", f"done once: the same rows {times} times give no other samples", entry=block.at("num_iters")
            )
        return HANDLERS[inner.type](self, inner, branch)

    # --- blocks that judge

    def keep(self, block: Block, branch: Branch) -> list[Branch]:
        place = block.config["filter_column"]
        column = branch.column(place.word("filter_column"), place)
        if column.constant is not None:
            return [branch] if passes(block, column.constant, self.say) else []
        if column.field is None or not branch.steps:
            fix = "choose leaves with `leaves` in the recipe, or let a judge say what is to be kept"
            raise LeftError(place, f"{place.scalar!r} is no answer of a model", fix)
        kept = wanted(block, self.say)
        keep = Keep(column.field, kept, len(branch.steps) - 1, block.config["filter_value"])
        self.say("carried", f"keep of {place.scalar}: {shown(kept)}")
        return [replace(branch, keeps=(*branch.keeps, keep))]

    # --- blocks that move columns

    def combine(self, block: Block, branch: Branch) -> list[Branch]:
        place = block.config["columns"]
        columns = [branch.column(name, place) for name in place.words("columns")]
        if not columns:
            raise place.wrong("combines no columns", "name some")
        separator = block.config["separator"].scalar if "separator" in block.config else "\n\n"
        return self.carried(branch, {block.word("output_col"): joined(columns, separator)})

    def flatten(self, block: Block, branch: Branch) -> list[Branch]:
        place = block.config["var_cols"]
        names = place.words("var_cols")
        if not names:
            raise place.wrong("melts no columns", "name some")
        found = []
        for name in names:
            try:
                value = branch.column(name, place)
            except LeftError as error:
                self.say("left", error.what, error.fix, place)
                continue
            made = {block.word("value_name"): value, block.word("var_name"): of_text(name)}
            label = "-".join(filter(None, (branch.label, name)))
            found.append(replace(branch.without(names).having(made), label=label))
        what = f"a flow for each of {', '.join(names)}: give all of them to one run"
        self.say("differs" if len(names) > 1 else "carried", what, entry=place)
        return found

    def duplicate(self, block: Block, branch: Branch) -> list[Branch]:
        names = block.names("columns_map")
        return self.carried(
            branch, {new: branch.column(old, block.config["columns_map"]) for old, new in names.items()}
        )

    def rename(self, block: Block, branch: Branch) -> list[Branch]:
        names = block.names("columns_map")
        made = {new: branch.column(old, block.config["columns_map"]) for old, new in names.items()}
        return self.carried(branch.without(list(names)), made)

    def populate(self, block: Block, branch: Branch) -> list[Branch]:
        place = block.config["column_name"]
        by = branch.column(place.word("column_name"), place)
        suffix = block.config["post_fix"].scalar if "post_fix" in block.config else ""
        known: dict[str, Mapping[str, Entry]] = {}
        for entry in block.config["config_paths"].sequence("config_paths"):
            path = entry.word("a path")
            named = replace(entry, scalar=path.replace(".yaml", f"_{suffix}.yaml") if suffix else path)
            known[PurePosixPath(path).name.split(".")[0]] = values(named, self.pipeline)
        made: dict[str, Column] = {}
        for name in dict.fromkeys(name for one in known.values() for name in one):
            entries = {value: one.get(name) for value, one in known.items()}
            texts = {
                value: of_text(one.scalar) for value, one in entries.items() if one and not (one.items or one.fields)
            }
            made[name] = chosen(by, texts) if texts else Column("", missing=f"{name} is no text")
        return self.carried(branch, made)

    def select(self, block: Block, branch: Branch) -> list[Branch]:
        place = block.config["choice_col"]
        by = branch.column(place.word("choice_col"), place)
        names = block.names("choice_map")
        if not names:
            raise block.config["choice_map"].wrong("chooses among nothing", "name a column for each value")
        if by.constant is not None:
            names = {value: name for value, name in names.items() if value == by.constant}
        among = {value: branch.column(name, block.config["choice_map"]) for value, name in names.items()}
        if not among:
            raise LeftError(place, f"there is no choice for {by.constant!r}", "add it to choice_map")
        return self.carried(branch, {block.word("output_col"): chosen(by, among)})

    def static(self, block: Block, branch: Branch) -> list[Branch]:
        value = block.config["static_value"]
        return self.carried(branch, {block.word("column_name"): of_text(value.scalar)})

    def majority(self, block: Block, _: Branch) -> list[Branch]:
        what = f"every row's own {block.word('col_name')} stays: no step sees all rows at once"
        raise LeftError(block.entry, what, "count them after the run, and set it there")

    def carried(self, branch: Branch, made: Mapping[str, Column]) -> list[Branch]:
        if made:
            self.say("carried", f"column {', '.join(made)}: written out where a prompt shows it")
        return [branch.having(made)]


HANDLERS: Mapping[str, Callable[[Import, Block, Branch], list[Branch]]] = {
    "LLMBlock": Import.ask,
    "LLMLogProbBlock": Import.ask,
    "ConditionalLLMBlock": Import.ask,
    "LLMMessagesBlock": Import.messages,
    "IterBlock": Import.repeated,
    "FilterByValueBlock": Import.keep,
    "CombineColumnsBlock": Import.combine,
    "FlattenColumnsBlock": Import.flatten,
    "DuplicateColumnsBlock": Import.duplicate,
    "RenameColumnsBlock": Import.rename,
    "SamplePopulatorBlock": Import.populate,
    "SelectorBlock": Import.select,
    "SetToMajorityValueBlock": Import.majority,
    "AddStaticValue": Import.static,
    "AddStaticValueBlock": Import.static,
}


def would_make(block: Block) -> Iterator[str]:
    """The columns that a block makes."""
    if "output_cols" in block.config:
        yield from block.config["output_cols"].words("output_cols")
    for option in ("output_col", "value_name", "var_name", "column_name"):
        if option in block.config and block.type not in ("SamplePopulatorBlock",):
            yield block.word(option)
    if "columns_map" in block.config:
        yield from block.names("columns_map").values()
