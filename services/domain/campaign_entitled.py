"""The list of the entitled: rows of documents, checked without ever saying what stands in them.

Problems end in terminals, logs and answers over HTTP. They name line and column; what stood there is not repeated, in
no column, for in a table that has slipped a number can stand anywhere.
"""

from services.domain.campaign import Document
from services.domain.campaign_problems import Report
from services.domain.campaign_tables import Table
from services.domain.documents import DocumentInvalid, DocumentType, canonical

ENTITLED_COLUMNS = {"document_type": True, "document_number": True}
MAX_ENTITLED = 200_000  # what fits into the 16 MiB of a campaign document


def read_entitled(table: Table, accepted: tuple[DocumentType, ...], report: Report) -> tuple[Document, ...]:
    """The documents of a table, in canonical form. Rows with mistakes are reported and left out."""
    if not table.rows:
        report.row(table.file, 0, "", "has no rows; without anybody on the list nobody could book")
    if len(table.rows) > MAX_ENTITLED:
        report.row(table.file, 0, "", f"has {len(table.rows)} rows; {MAX_ENTITLED} is the most. Split the campaign")
        return ()
    lines: dict[tuple[DocumentType, str], int] = {}
    for row in table.rows:
        kind = _kind(row.cells["document_type"])
        if kind is None:
            known = ", ".join(DocumentType)
            report.row(table.file, row.line, "document_type", f"is no kind of document; there are {known}")
            continue
        if kind not in accepted:
            report.row(table.file, row.line, "document_type", f"{kind} is none that this campaign accepts")
        try:
            document = (kind, canonical(kind, row.cells["document_number"]))
        except DocumentInvalid as error:
            report.row(table.file, row.line, "document_number", str(error))
            continue
        first = lines.setdefault(document, row.line)
        if first != row.line:
            report.row(table.file, row.line, "document_number", f"is the one of line {first} again; remove one")
    return tuple(Document(document_type=kind, document_number=number) for kind, number in lines)


def _kind(text: str) -> DocumentType | None:
    return DocumentType(text) if text in list(DocumentType) else None
