"""Readers of data sets and file formats: functions that return a :class:`dbn.data.Source` or a ``StreamedSource``.

``conf/data/<name>.yaml`` selects one by ``source._target_``.
"""
