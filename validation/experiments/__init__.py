"""What single scripts measure with: runs, closed forms and figures of their own."""
