"""Every code that a finding can have, in the order of the page. A test compares it with the source that makes them."""

from __future__ import annotations

from instructlab_like.checking.codes.code import Code, Section
from instructlab_like.checking.hits import LONGEST_PAGE
from instructlab_like.checking.lints.limits import CONTEXT, LEAF, PAIR
from instructlab_like.taxonomy.sizes import LARGEST_FILE
from instructlab_like.taxonomy.yaml_lines import DEEPEST, MOST_LINES, MOST_NODES

FILES = Section(
    "Files and folders",
    "A leaf is a folder with `qna.yaml` and `attribution.txt`. Only regular files inside the tree are read.",
    (
        Code(
            "no-such-file",
            "A path that was named is not there",
            "What was meant to be checked was not.",
            "Correct the path; name leaves, files in them, or a folder above.",
            compatible=True,
        ),
        Code(
            "no-leaf",
            "No leaf lies below a path that was named",
            "What was meant to be checked was not.",
            "Name leaves, or the tree. Only a folder with a `qna.yaml` is a leaf.",
            compatible=True,
        ),
        Code(
            "wrong-name",
            "A file that is never read, though it looks as if it should",
            "Only a file called exactly `qna.yaml` makes a folder a leaf: not `qna.yml`, not `QNA.yaml`.",
            "Rename the file to `qna.yaml`, and keep other files out of the tree or inside a leaf's folder.",
            compatible=True,
        ),
        Code(
            "link",
            "A symbolic link where a file or folder should be",
            "A link can lead out of the tree, to a file of whoever runs the check. Links are not followed.",
            "Put the file or folder itself there.",
            compatible=True,
        ),
        Code(
            "odd-name",
            "A name with characters that cannot be shown",
            "Control characters, characters that hide or turn text, and bytes that are no UTF-8 make a name that "
            "nobody can read or type.",
            "Rename the file or folder, best with a–z, 0–9 and _ alone.",
            compatible=True,
        ),
        Code(
            "case-collision",
            "Two folders whose names differ in case alone",
            "On macOS and Windows they are one folder, and one leaf's files end up in the other's.",
            "Rename one of them.",
            compatible=True,
        ),
        Code(
            "unreadable",
            "A file or folder that cannot be read",
            "It is a folder, a pipe or a device, or closed by its permissions.",
            "Put a plain text file there, with permissions to read it.",
            compatible=True,
        ),
        Code(
            "folder-name",
            "A folder that is not named in lower-case snake case",
            "The folders are the leaf's name in every table and file. One spelling for all of them keeps one subject "
            "in one place.",
            "Rename the folder: `Tide Gauges` becomes `tide_gauges`.",
        ),
        Code(
            "wrong-folder",
            "Knowledge among the skills, or a skill among the knowledge",
            "The nearest folder called `knowledge` or `compositional_skills` decides what a leaf is; "
            "`foundational_skills` holds skills as well.",
            "Move the leaf's folder below the other one.",
            compatible=True,
        ),
        Code(
            "misplaced",
            "A `simulation.yaml` in a knowledge leaf",
            "A simulation makes questions and answers of a skill. What is known comes from documents.",
            "Remove the file, or make the leaf a skill.",
        ),
    ),
)

YAML = Section(
    "YAML",
    "What keeps a file from being read at all, and what other tools would read otherwise.",
    (
        Code(
            "syntax",
            "Not valid YAML",
            "Nothing in the file can be used. The position is where the reader could not go on; the mistake is often "
            "in the line above.",
            "Correct the line. Text with `: `, `#` or a quotation mark at its beginning needs quotes, or a `|` block.",
            compatible=True,
            wrong="question: Note: what is a tide?",
            right='question: "Note: what is a tide?"',
        ),
        Code(
            "encoding",
            "Not UTF-8 text",
            "The bytes mean other letters to every reader.",
            "Save the file as UTF-8.",
            compatible=True,
        ),
        Code(
            "too-large",
            f"A file of more than {LARGEST_FILE:,} bytes or {MOST_LINES:,} lines",
            "Files of strangers are read within limits. No leaf comes near this one.",
            "Split the leaf, or move long texts into documents.",
            compatible=True,
        ),
        Code(
            "too-deep",
            f"Values nested more than {DEEPEST} deep",
            "Files of strangers are read within limits. A leaf is four deep.",
            "Flatten the file.",
            compatible=True,
        ),
        Code(
            "too-many-values",
            f"More than {MOST_NODES:,} values, aliases written out",
            "Files of strangers are read within limits: a few lines of aliases can stand for billions of values.",
            "Write the values out, or split the leaf.",
            compatible=True,
        ),
        Code(
            "duplicate-key",
            "A key that is given twice in one mapping",
            "Only the last one counts, and nobody sees which was meant. In files of version 1, which upstream does not "
            "lint, it is a warning.",
            "Keep one of the two.",
            compatible=True,
            wrong="answer: 3 metres\nanswer: 4 metres",
            right="answer: 4 metres",
        ),
        Code(
            "key",
            "A key that is not a word",
            "A list or a mapping as a key fits no schema.",
            "Write `name: value`.",
            compatible=True,
        ),
        Code(
            "value",
            "Something that looks like a number or a date but is none",
            "YAML reads 2024-13-45 as a date, and there is no such day.",
            "Put it in quotes.",
            compatible=True,
            wrong="answer: 2024-13-45",
            right='answer: "2024-13-45"',
        ),
        Code(
            "tag",
            "A tag that is not allowed",
            "A tag such as `!!python/object` asks the reader to build something. Nothing is built from a leaf.",
            "Remove the tag, or quote the value.",
            compatible=True,
        ),
        Code(
            "tag-used",
            "A tag that says how a value is to be read",
            "A reviewer should see from the value what it is.",
            "Remove the tag; text that looks like a number needs quotes.",
            wrong="answer: !!str 1236",
            right='answer: "1236"',
        ),
        Code(
            "alias",
            "An alias inside of what it names",
            "Such a value has no end.",
            "Write the value out.",
            compatible=True,
        ),
        Code(
            "alias-used",
            "An alias, `*name`, in place of a value",
            "A reviewer must see a text where it is used, and a change must change one text only.",
            "Write the value out.",
            wrong="- context: &harbour The harbour has two basins.\n- context: *harbour",
            right="- context: The harbour has two basins.\n- context: The harbour has a quay.",
        ),
        Code(
            "merge",
            "`<<` with something that is no mapping",
            "There are no keys to bring in.",
            "Write the keys out.",
            compatible=True,
        ),
        Code(
            "merge-used",
            "`<<`, which brings in keys that are written elsewhere",
            "A reviewer must see a text where it is used, and a change must change one text only.",
            "Write the keys out.",
        ),
        Code(
            "half-character",
            "An escape that stands for half a character",
            "`\\ud83d` alone is half of an emoji, and cannot be written to any file.",
            "Write the character itself, or its whole code: `\\U0001F600`.",
            compatible=True,
        ),
    ),
)

LINES = Section(
    "The form of lines",
    "yamllint's rules in upstream's profile, for `qna.yaml` above version 1. `ilk check --fix` repairs most of them.",
    (
        Code(
            "trailing-spaces",
            "Blanks at the end of a line",
            "They cannot be seen, and every tool that removes them makes a change that nobody meant.",
            "Remove them, or run `ilk check --fix`. In a `|` block, where they are part of the text, as well.",
            compatible=True,
        ),
        Code(
            "new-line-at-end-of-file",
            "The last line does not end",
            "Tools that join or compare files expect it to.",
            "End the last line with a line break, or run `ilk check --fix`.",
            compatible=True,
        ),
        Code(
            "new-lines",
            "Lines that end otherwise than with a line feed",
            "The same file would have two forms.",
            "Save the file with Unix line ends, or run `ilk check --fix`.",
            compatible=True,
        ),
        Code(
            "empty-lines",
            "More than two empty lines in a row, or some at the top or the end",
            "They carry nothing, and make changes hard to read.",
            "Leave at most two lines empty, or run `ilk check --fix`.",
            compatible=True,
        ),
        Code(
            "indentation",
            "Indentation that is not the same everywhere",
            "What belongs to what is said by indentation alone.",
            "Indent by the same number of blanks everywhere, or run `ilk check --fix`, which makes it two.",
            compatible=True,
            wrong="document:\n    repo: .\nseed_examples:\n  - question: Who?\n    answer: Ann",
            right="document:\n  repo: .\nseed_examples:\n  - question: Who?\n    answer: Ann",
        ),
        Code(
            "hyphens",
            "More than one blank after a hyphen",
            "The entries of a list line up when all of them begin alike.",
            "Put one blank after the hyphen, or run `ilk check --fix`.",
            compatible=True,
        ),
        Code(
            "colons",
            "Blanks before a colon, or more than one after it",
            "One form for all keys is easiest to read.",
            "Put one blank after the colon and none before it.",
            compatible=True,
            wrong="answer :  Ann",
            right="answer: Ann",
        ),
        Code(
            "commas",
            "Blanks before a comma, or not one after it",
            "One form for all lists is easiest to read.",
            "Put one blank after the comma and none before it.",
            compatible=True,
            wrong="accept: [the Sarle ,river Sarle]",
            right="accept: [the Sarle, river Sarle]",
        ),
        Code(
            "braces",
            "More than one blank inside braces",
            "One form for all mappings is easiest to read.",
            "Put at most one blank inside the braces.",
            compatible=True,
        ),
        Code(
            "brackets",
            "More than one blank inside brackets",
            "One form for all lists is easiest to read.",
            "Put at most one blank inside the brackets.",
            compatible=True,
        ),
        Code(
            "anchors",
            "An alias of something that was not named before",
            "There is nothing that it could stand for.",
            "Write the value out.",
            compatible=True,
        ),
    ),
)

SCHEMA = Section(
    "The schema",
    "What the published schema asks of `qna.yaml`, and the records of this project of the files beside it.",
    (
        Code(
            "missing-key",
            "A key that must be there is not",
            "Without it there is nothing to ask, to answer or to read.",
            "Add the key; `ilk new` writes a leaf that has all of them.",
            compatible=True,
        ),
        Code(
            "unknown-key",
            "A key that has no meaning here",
            "It is most often a slip of the pen, and what stands under it would be lost.",
            "Correct it – the finding names the nearest known key – or remove it.",
            compatible=True,
            wrong="task_descripton: Add numbers.",
            right="task_description: Add numbers.",
        ),
        Code(
            "wrong-type",
            "A value of another kind than is asked for",
            "YAML takes `yes`, `1236` and `2024-01-31` for something other than text; a list needs hyphens.",
            "Write what the finding asks for; text that YAML takes for something else needs quotes.",
            compatible=True,
            wrong="answer: 1236",
            right='answer: "1236"',
        ),
        Code(
            "wrong-value",
            "A value that does not fit its field, in `heldout.yaml` or `simulation.yaml`",
            "A number that is out of its range, or a word that is none of those allowed, decides nothing.",
            "Correct the value; numbers that are given as text need quotes.",
            wrong="metric: rouge",
            right="metric: f1",
        ),
        Code(
            "empty",
            "A text without a single character",
            "There is nothing to ask, to answer or to read.",
            "Fill it in, or remove the key where it may be left out.",
            compatible=True,
        ),
        Code(
            "blank",
            "A text of blanks alone",
            "The published schema lets it pass; there is still nothing to ask or to answer.",
            "Fill it in.",
            compatible=True,
        ),
        Code(
            "empty-file",
            "A file that holds nothing",
            "Upstream passes it over with a warning; there is no leaf.",
            "Fill it in – `ilk new` writes a leaf to begin with – or remove it.",
            compatible=True,
        ),
        Code(
            "too-few",
            "Fewer entries than the schema asks for",
            "Five seed examples, and three questions for each context of knowledge, are what the teacher needs to see "
            "what varies and what does not.",
            "Add as many as the finding says.",
            compatible=True,
        ),
        Code(
            "repeated",
            "The same entry twice in a list",
            "It counts once, and shows the teacher nothing new.",
            "Change or remove one.",
            compatible=True,
        ),
        Code(
            "deprecated",
            "Knowledge of version 1 or 2",
            "Only version 3 has the contexts that questions are about.",
            "Write `version: 3`, with domain, document_outline, document, and seed examples about a context.",
            compatible=True,
        ),
        Code(
            "unknown-version",
            "A version that the schema does not have",
            "Nobody knows what the file's keys mean.",
            "Write `version: 3`.",
            compatible=True,
        ),
        Code(
            "other-version",
            "Another version than was asked for",
            "`--schema-version latest` reads every file by the newest version of the schema.",
            "Write `version: 3`, and what that version asks for; or check by the files' own versions.",
            compatible=True,
        ),
        Code(
            "none-held-out",
            "A `heldout.yaml` without a question",
            "Without held-out questions nothing tells whether the leaf was learnt.",
            "Add questions – twenty or more let a verdict be given – or delete the file.",
        ),
        Code(
            "unused-key",
            "A key of a held-out question that its metric does not look at",
            "`options` are for `metric: choice`, a `rubric` is for `metric: judge`, and where an option is taken or a "
            "likelihood measured, nothing else can be accepted. Whoever wrote it expects it to count.",
            "Remove it, or write the metric that it belongs to.",
            wrong="{question: 'What is it made of?', answer: slate, options: [slate, brick]}",
            right="{question: 'What is it made of?', answer: slate, options: [slate, brick], metric: choice}",
        ),
        Code(
            "wrong-options",
            "A choice between fewer than two options, or more than have a letter",
            "Where there is nothing to choose from, the score says nothing.",
            "List two to 26 options, the right answer among them.",
        ),
        Code(
            "same-option",
            "Two options that say the same",
            "Both would be right, and one of them would count as wrong. Case and punctuation make no difference.",
            "Write another option, or remove one.",
        ),
        Code(
            "answer-not-offered",
            "The right answer of a choice is none of its options",
            "No option could be taken that counts as right.",
            "Put the answer among the options, in the same words.",
        ),
        Code(
            "no-number",
            "A question scored by its number whose answer holds none",
            "`metric: number` compares the last number of what the model says with the answer's, both in digits.",
            "Write the number in digits, or take `metric: exact`.",
            wrong="{question: 'How many arches are there?', answer: seven, metric: number}",
            right="{question: 'How many arches are there?', answer: \"7\", metric: number}",
        ),
    ),
)

QUESTIONS = Section(
    "Questions and answers",
    "What can be told of the texts without a model. Where words may mean something else, the finding is a warning.",
    (
        Code(
            "long-context",
            f"A context of more than {CONTEXT} words",
            "Upstream documents the limit: longer ones do not fit the prompts that are made of them.",
            "Shorten it, or make two seed examples of it.",
        ),
        Code(
            "long-pair",
            f"A question and its answer of more than {PAIR} words together",
            "Upstream documents the limit: longer ones do not fit the prompts that are made of them.",
            "Shorten them.",
        ),
        Code(
            "long-file",
            f"A file of more than {LONGEST_PAGE:,} characters",
            "Nobody reads it, and it is not looked through for secrets and personal data.",
            "Shorten it, or move texts into documents.",
        ),
        Code(
            "long-leaf",
            f"Seed examples of more than {LEAF:,} words",
            "Upstream documents the limit: longer ones do not fit the prompts that are made of them.",
            "Shorten them, or make two leaves of it.",
        ),
        Code(
            "answer-not-in-context",
            "An answer of which no word stands in its context",
            "The questions of knowledge are about their context. A teacher that sees another answer learns to make "
            "things up.",
            "Answer with what the context says, or give the context that says it.",
            wrong="context: The lighthouse is painted red.\nquestion: What colour is the lighthouse?\nanswer: Blue",
            right="context: The lighthouse is painted red.\nquestion: What colour is the lighthouse?\nanswer: Red",
        ),
        Code(
            "claim-not-in-context",
            "A number or a name in an answer that its context lacks",
            "It may be a slip, or follow from the context: the finding is a warning.",
            "Correct the answer or the context; leave it if the answer follows from the context.",
        ),
        Code(
            "missing-context",
            "A question that points at a text which is not there",
            "The model that is trained on it sees the question alone, and learns to answer about something that it was "
            "not shown.",
            "Name the thing itself; give a skill's text as `context`.",
            wrong="question: According to the document, who led the guild?",
            right="question: Who led the Rope Guild of Velmouth?",
        ),
        Code(
            "repeated-pair",
            "The same question and answer twice in a leaf",
            "But for case, spacing and punctuation they are one, and would be drawn twice as often.",
            "Change or remove one.",
        ),
        Code(
            "repeated-question",
            "A question that is asked in another leaf, too",
            "Two leaves would teach the same, perhaps with two answers.",
            "Keep it in one leaf.",
        ),
        Code(
            "held-out-in-seeds",
            "A held-out question that is a seed example as well",
            "The teacher sees the seed examples, so the score would measure what was shown.",
            "Ask it otherwise.",
        ),
        Code(
            "held-out-elsewhere",
            "A question that is held out in one leaf and a seed example in another",
            "The teacher sees the seed examples of all leaves, so the score would measure what was shown.",
            "Ask another question in one of the two.",
        ),
        Code(
            "leftover-text",
            "Text that was to be replaced",
            "Slots of a template, TODO and lorem ipsum would be learnt like everything else.",
            "Write what belongs there, or put it in backticks if it is meant as it stands.",
            wrong="answer: <your answer here>",
            right="answer: The Sarle flows past Velmouth.",
        ),
        Code(
            "simulation",
            "A simulation that cannot be used",
            "A template fails, hides a parameter on which the answer depends, or never varies.",
            "Do what the finding says about the template or parameter that it names.",
        ),
    ),
)

SOURCES = Section(
    "Sources and licences",
    "Whose work the leaf rests on, and where its documents are.",
    (
        Code(
            "no-attribution",
            "No `attribution.txt`",
            "Nobody can tell whose work it is, and under which licence it may be used. Upstream does not ask it of "
            "version 1.",
            "Name title, link, revision, licence and creators of each source, or yourself as the author.",
            compatible=True,
        ),
        Code(
            "empty-attribution",
            "An `attribution.txt` that says nothing",
            "Nobody can tell whose work it is. In the compatible profile only a file of no bytes is one.",
            "Name title, link, revision, licence and creators of each source, or yourself as the author.",
            compatible=True,
        ),
        Code(
            "no-title",
            "A work without a title",
            "Nobody can find it.",
            "Fill in `Title of work:`.",
        ),
        Code(
            "no-creator",
            "A work without creators",
            "Most licences ask that they be named.",
            "Fill in `Creator names:`; name yourself for what is your own.",
        ),
        Code(
            "no-licence",
            "A work without a licence",
            "Without one nobody may use it.",
            "Add `License of the work:` and its SPDX identifier.",
        ),
        Code(
            "unknown-licence",
            "A licence that is no SPDX expression",
            "`Creative Commons` is a family of licences, some of which forbid this use. An SPDX identifier names one, "
            "and programs can read it.",
            "Write the identifier that spdx.org/licenses gives it, or `LicenseRef-…` for one that it does not list.",
            wrong="License of the work: CC BY-SA 4.0",
            right="License of the work: CC-BY-SA-4.0",
        ),
        Code(
            "document",
            "A document source that would be refused, or holds nothing",
            "Documents are fetched from public https:// repositories at one commit, by patterns within them. With "
            "`repo: .` they lie beside `qna.yaml`.",
            "Name such a repository, the 40 digits of a commit, and patterns that match Markdown or text.",
            wrong="document:\n  repo: http://localhost/tides\n  commit: main\n  patterns: [../*.md]",
            right='document:\n  repo: .\n  commit: HEAD\n  patterns: ["*.md"]',
        ),
    ),
)

CHARACTERS = Section(
    "Characters",
    "What a reviewer does not see, or sees otherwise than a program does: in texts, keys, comments and names.",
    (
        Code(
            "bidi-control",
            "A character that changes the direction of writing",
            "What is shown is not what is read: an answer can look right and say something else.",
            "Remove it. Letters of right-to-left scripts bring their direction with them.",
        ),
        Code(
            "tag-character",
            "A tag character (U+E0000 to U+E007F)",
            "They are never shown, and spell out any ASCII text, instructions to a model included.",
            "Remove it.",
        ),
        Code(
            "control-character",
            "A control character",
            "It can act on a terminal, and is no text.",
            "Remove it.",
        ),
        Code(
            "zero-width",
            "A character without width",
            "Two words that look the same are not. Some languages need it: the finding is a warning.",
            "Remove it if the word reads the same without.",
        ),
        Code(
            "variation-selector",
            "A variation selector where none is of use",
            "A row of them is not shown, and can carry any text.",
            "Remove it; only one may follow an emoji or an ideograph.",
        ),
        Code(
            "mixed-script",
            "A word with letters of two scripts that look alike",
            "A Cyrillic а in a Latin word makes another word. It may be an accident: the finding is a warning.",
            "Type the word anew.",
        ),
        Code(
            "noncharacter",
            "A code that is none of Unicode's characters",
            "It will never be one; programs are free to drop or refuse it.",
            "Remove it.",
        ),
        Code(
            "private-use",
            "A character of a private-use area",
            "It means something else in each font, and nothing to a model.",
            "Write the character that is meant.",
        ),
        Code(
            "replacement-character",
            "The sign for a lost character (U+FFFD)",
            "Something was lost when the text was converted.",
            "Restore the character from the source.",
        ),
        Code(
            "line-separator",
            "A line or paragraph separator (U+2028, U+2029)",
            "It is a line break to some programs only.",
            "Write an ordinary line break.",
        ),
        Code(
            "lone-surrogate",
            "Half a character",
            "It cannot be written to any file.",
            "Write the whole character.",
        ),
    ),
)

PRIVACY = Section(
    "Secrets and personal data",
    "What is merged stays in every copy's history, and a model may repeat it. Findings show the first characters only.",
    (
        Code(
            "secret",
            "Something that looks like a key, a token or a password",
            "Whoever reads it can use it.",
            "Remove it, and revoke it where it was issued. `<key>` stands for one in an example.",
        ),
        Code(
            "email",
            "An e-mail address",
            "It belongs to somebody. `created_by` may hold one.",
            "Leave it out, or write one of example.org.",
            wrong="answer: Write to the harbour master at j.doe@velmouth.town",
            right="answer: Write to the harbour master at office@example.org",
        ),
        Code(
            "phone",
            "A phone number",
            "It belongs to somebody. Digits that may be something else are a warning.",
            "Leave it out, or write one of a range kept for fiction, such as 555-0123 after an area code.",
        ),
        Code(
            "iban",
            "The number of a bank account",
            "Its checksum is right, so somebody may have it.",
            "Leave it out, or write one that nobody has.",
        ),
        Code(
            "payment-card",
            "The number of a payment card",
            "Its checksum is right, so somebody may have it.",
            "Leave it out, or write one that nobody has.",
        ),
        Code(
            "social-security-number",
            "A social security number",
            "It identifies a person.",
            "Leave it out, or write one that nobody has.",
        ),
    ),
)

SECTIONS = (FILES, YAML, LINES, SCHEMA, QUESTIONS, SOURCES, CHARACTERS, PRIVACY)
