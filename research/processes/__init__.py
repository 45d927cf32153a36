"""What a process needs to know about itself: its command line, backend, children and origin."""
