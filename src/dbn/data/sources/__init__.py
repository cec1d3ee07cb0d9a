"""Readers of files, one per kind of data: each is a function that returns a :class:`dbn.data.Source`.

``conf/data/<name>.yaml`` selects one through ``source._target_``. A new kind is a new file here and a new yaml there.
"""
