"""Plain sentences in English and Dutch for readers who are not engineers.

Pure: values in, text out. A sentence says where a disturbance is and how that is known; it never
speaks of who answers for it in law.
"""

from agent.words.page_text import page_text, summary
from agent.words.sentences import sentences
from agent.words.terms import LANGUAGES, language_of, term

__all__ = ["LANGUAGES", "language_of", "page_text", "sentences", "summary", "term"]
