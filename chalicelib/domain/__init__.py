"""The rules of usage, credit and money: pure values and functions, no I/O and no clock."""
