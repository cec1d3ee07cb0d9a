"""The character recogniser of the licence plate library EasyPR, reimplemented as a baseline."""
