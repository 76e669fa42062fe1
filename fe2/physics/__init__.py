"""Physics: kinematics and phase laws, formulas only."""
