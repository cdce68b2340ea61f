"""The ground floor: what every room stands on. Nothing here imports anything of ours."""
