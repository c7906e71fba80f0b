"""A campaign of random disturbances: whom the product names, and whom simpler rules would have named."""
