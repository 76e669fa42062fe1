"""Checks for laws and models of one's own: each fails with what is wrong, and with what would be right."""

from fe2.testing.micro_model import check_micro_model
from fe2.testing.phase_law import check_phase_law
from fe2.testing.physics import check_physics

__all__ = ["check_micro_model", "check_phase_law", "check_physics"]
