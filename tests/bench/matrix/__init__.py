"""`make bench`, second half: the scorer under other loads, how long rows take, and what others need for a part of the work."""
