"""Running JavaScript that customers wrote: in processes that can do nothing but compute."""
