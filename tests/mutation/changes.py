"""Every small change of a module that its tests should notice: mutmut's operators, each applied in one place.

mutmut itself leaves every decorated function alone (its trampolines cannot carry them), and here those are `cancel`,
`change_slot`, `pick_up` and `undo_pick_up`. cosmic-ray needs a package that has no wheel, and we install wheels only.
So the operators are mutmut's, and putting the changed text where the module is imported is ours.
"""

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

# What the fold does not do: types, names of modules, what happens when a module is imported.
LEFT_ALONE = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)


@dataclass(frozen=True)
class Change:
    """One change of one module, and the lines on which the statement stands that it is in."""

    path: str
    lines: range
    text: str  # of the whole module, with the change in it
    told: str  # what was and what is, for a person

    @property
    def name(self) -> str:
        """The same for the same change of the same text."""
        return hashlib.sha256(f"{self.path}\n{self.text}".encode()).hexdigest()[:16]


def changes_of(path: Path, told: str) -> list[Change]:
    """In the order of the text; `told` is how the file is called."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text("utf-8")), unsafe_skip_copy=True)
    places = _Places()
    wrapper.visit(places)
    module, was = wrapper.module, wrapper.module.code
    changes = []
    for old, new, lines, top, function in places.found:
        # Only the statement that is changed is written anew: a whole module for each change takes a minute more.
        before = module.code_for_node(top)
        after = module.code_for_node(top.deep_replace(old, new))
        if after != before:
            assert was.count(before) == 1, f"{told} says twice: {before}"
            text = was.replace(before, after)
            changes.append(Change(told, lines, text, _told(f"{told}: {function}", was, text)))
    return changes


def _told(place: str, was: str, text: str) -> str:
    """The lines that differ, as a patch without its frame."""
    lines = [
        f"{line[0]} {line[1:].strip()}"
        for line in difflib.unified_diff(was.splitlines(), text.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    return "\n".join([place, *lines])


class _Places(cst.CSTVisitor):
    """Where something can be changed: the node, what would stand there instead, the lines of its statement, the
    statement of the module that it is in, its function."""

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, range, cst.CSTNode, str]] = []
        self._functions = ["the module"]

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, LEFT_ALONE) or self._is_a_field(node):
            return False
        if isinstance(node, cst.FunctionDef):
            self._functions.append(node.name.value)
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += [
                    (node, new, self._lines(node), self._top(node), self._functions[-1]) for new in operator(node)
                ]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef):
            self._functions.pop()

    def _is_a_field(self, node: cst.CSTNode) -> bool:
        """Fields of rows and numbers of enums stand in the log and in Redis: other tests hold them."""
        if not isinstance(node, cst.SimpleStatementLine):
            return False
        block = self.get_metadata(ParentNodeProvider, node)
        return isinstance(self.get_metadata(ParentNodeProvider, block, None), cst.ClassDef)

    def _top(self, node: cst.CSTNode) -> cst.CSTNode:
        """The statement of the module that the node is in."""
        while not isinstance(parent := self.get_metadata(ParentNodeProvider, node), cst.Module):
            node = parent
        return node

    def _lines(self, node: cst.CSTNode) -> range:
        """Of the statement, or of the head of a compound one."""
        while not isinstance(node, cst.BaseStatement | cst.Module | cst.BaseSmallStatement):
            parent = self.get_metadata(ParentNodeProvider, node)
            if isinstance(parent, cst.BaseCompoundStatement):
                break
            node = parent
        place: CodeRange = self.get_metadata(PositionProvider, node)
        return range(place.start.line, place.end.line + 1)
