"""From a caller's arguments to a plan, which has every slot of one evaluation filled."""
