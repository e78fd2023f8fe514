"""Public measurements of generation times, priced by the closed form."""
