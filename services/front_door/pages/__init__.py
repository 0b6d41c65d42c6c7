"""The same for people: plain HTML that works on an old phone, without JavaScript, in three languages."""
