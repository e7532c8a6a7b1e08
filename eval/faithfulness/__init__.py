"""What a faithfulness run has in hand: its questions, faces, covered regions, and its page."""
