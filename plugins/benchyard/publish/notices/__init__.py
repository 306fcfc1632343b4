"""What people are told of what happens in the lab: notices, and the notifiers that tell them."""
