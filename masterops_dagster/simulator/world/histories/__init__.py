"""Order histories from files, written as the systems that sell would hold them."""
