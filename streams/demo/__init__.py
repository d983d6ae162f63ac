"""The demonstration: a scripted simulator of three customer-service workflows, and the play around it."""
