"""What the exports of other systems mean, one file each."""
