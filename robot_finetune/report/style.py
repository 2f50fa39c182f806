"""The style sheet of a session report: light, readable on a phone, without anything from outside."""

INK, MUTED, GRID = "#1d2733", "#6b7785", "#e4e8ed"
BEFORE, AFTER, BAND = "#9aa7b5", "#1f7a5c", "#2563a8"

STYLE = """
:root { color: #1d2733; background: #f6f7f9; }
body { margin: 0; font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.2rem 4rem; }
header { margin-bottom: 1.8rem; }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.4rem); line-height: 1.18; letter-spacing: -0.02em; margin: 0.2rem 0 0.6rem; }
h2 { font-size: 1.15rem; margin: 0 0 0.8rem; }
h3 { font-size: 0.95rem; margin: 1.2rem 0 0.5rem; color: #4a5663; }
p { margin: 0.4rem 0; }
.kicker { color: #1f7a5c; font-weight: 600; font-size: 0.9rem; }
.note { color: #6b7785; font-size: 0.9rem; }
section, .card { background: #fff; border: 1px solid #e4e8ed; border-radius: 12px; padding: 1.2rem 1.3rem; }
section { margin: 0 0 1.1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.8rem; }
section.cards { padding: 0; border: 0; background: none; }
.card { padding: 0.9rem 1rem; }
.card b { display: block; font-size: 1.5rem; letter-spacing: -0.01em; }
.card span { color: #6b7785; font-size: 0.85rem; }
img { display: block; max-width: 100%; height: auto; }
img.wide { width: 100%; min-width: 36rem; margin-bottom: 0.8rem; }
img.narrow { width: 30rem; margin: 0 auto; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.9rem; }
figure { margin: 0; display: grid; grid-template-columns: 1fr 1fr; gap: 4px; }
img.seen { width: 100%; border-radius: 6px; image-rendering: pixelated; }
figcaption { grid-column: 1 / -1; color: #6b7785; font-size: 0.8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { text-align: left; padding: 0.4rem 0.9rem 0.4rem 0; border-bottom: 1px solid #e4e8ed; white-space: nowrap; }
th { color: #6b7785; font-weight: 600; }
"""
