"""The pages of a board: static, offline, and with no number that the verifier did not write.

No torch, no clock, no network. Whatever an entry says is text.

collect     what a board holds: rows, rows that wait, and what was left out, with the reason
rank        which rows can be told apart; the Pareto front
cells       numbers, levels and states as text
markdown    a card's few forms of Markdown as HTML
plot        invariance against equivariance
ladder      levels, checks and what was found again, for an entry's page
views       what each template is given
exports     leaderboard.json, leaderboard.csv, badges, the feed
pages       all files of a site, by name
build       writing them, and removing what a former build wrote
"""
