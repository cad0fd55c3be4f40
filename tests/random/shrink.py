"""Makes a program that shows a difference smaller, as long as it still shows one."""
import re

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\[(=*)\[.*?\]\1\]|[A-Za-z_]\w*|[\d.]+\w*|\.\.\.|\.\.|::|//|[=~<>]=|<<|>>|\s+|.', re.S)
CLOSER = {"(": ")", "{": "}", "[": "]", "do": "end", "then": "end", "function": "end", "if": "end", "for": "end", "while": "end", "repeat": "until"}
BATCH = 24


def chunks(parts, joiner, still):
    """Delta reduction: ever smaller runs of parts are left out."""
    size = max(len(parts) // 2, 1)
    while parts:
        at, changed = 0, False
        while at < len(parts):
            starts = list(range(at, len(parts), size))[:BATCH]
            tries = [parts[:s] + parts[s + size:] for s in starts]
            hit = still([joiner.join(t) for t in tries])
            if hit is None:
                at = starts[-1] + size
            else:
                parts, at, changed = tries[hit], starts[hit], True
        if size == 1 and not changed:
            break
        size = size if changed and size == 1 else max(size // 2, 1)
        if size == 1 and not changed and len(parts) == 1:
            break
    return parts


def groups(tokens):
    """Spans of balanced brackets and blocks, the longest first."""
    spans, stack = [], []
    for i, token in enumerate(tokens):
        if token in ("(", "{", "[", "do", "then", "function", "repeat"):
            stack.append(i)
        elif token in (")", "}", "]", "end", "until") and stack:
            spans.append((stack.pop(), i + 1))
    return sorted(spans, key=lambda s: s[0] - s[1])


def tokens_away(text, still):
    changed = True
    while changed:
        changed = False
        tokens = [m.group(0) for m in TOKEN.finditer(text)]
        tries = []
        for a, b in groups(tokens):
            tries.append(tokens[:a] + tokens[b:])
            tries.append(tokens[:a] + tokens[a + 1:b - 1] + tokens[b:])
            tries.append(tokens[:a] + [" nil "] + tokens[b:])
        for start in range(0, len(tries), BATCH):
            candidates = ["".join(t) for t in tries[start:start + BATCH]]
            candidates = [c for c in candidates if len(c) < len(text)]
            hit = still(candidates)
            if hit is not None:
                text, changed = candidates[hit], True
                break
    for width in (8, 4, 3, 2, 1):
        at = 0
        while True:
            tokens = [m.group(0) for m in TOKEN.finditer(text)]
            if at >= len(tokens):
                break
            starts = list(range(at, len(tokens)))[:BATCH]
            candidates = ["".join(tokens[:s] + tokens[s + width:]) for s in starts]
            hit = still(candidates)
            if hit is None:
                at = starts[-1] + 1
            else:
                text, at = candidates[hit], starts[hit]
    return text


def shrink(text, first_that_differs, rounds=400):
    """`first_that_differs(list)` runs candidates; at most `rounds` such calls are made."""
    head = ""
    if text.startswith("--process\n"):
        head, text = "--process\n", text[len("--process\n"):]
    left = [rounds]

    def still(candidates):
        if left[0] <= 0 or not candidates:
            return None
        left[0] -= 1
        return first_that_differs([head + c for c in candidates])

    size = len(text) + 1
    while len(text) < size and left[0] > 0:
        size = len(text)
        lines = chunks(text.split("\n"), "\n", still)
        text = "\n".join(lines)
        if len(text) > 6000:
            break
        text = tokens_away(text, still)
    return head + text
