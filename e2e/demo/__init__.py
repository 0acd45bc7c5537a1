"""The same change of a pod template under the same load, with and without StatefulRollout, as figures and as a page.

`__main__` is the way through; `variants`, `figures`, `stages`, `drawing` and `page` are pure, the others act.
"""
