"""Teams: the boundary of data inside an organization, one for each customer and more for whoever wants them."""
